"""Tables as people have them, read and given back: workbooks, encodings, ragged rows, cells that look like formulas."""

from __future__ import annotations

import csv
import zipfile
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from llmapp.errors import BadInput
from llmapp.tasks.tables import LONGEST_CELL, guess_text, read_sheet, write_csv, write_xlsx


def text_file(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def workbook(folder: Path, sheets: dict[str, list[list[object]]], name: str = "table.xlsx") -> Path:
    path = folder / name
    with xlsxwriter.Workbook(str(path)) as book:
        dates = book.add_format({"num_format": "yyyy-mm-dd"})
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for i, row in enumerate(rows):
                for j, cell in enumerate(row):
                    sheet.write(i, j, cell, dates if isinstance(cell, date) else None)
    return path


def cells_of(path: Path) -> list[list[object]]:
    with CalamineWorkbook.from_path(str(path)) as book:
        return book.get_sheet_by_index(0).to_python(skip_empty_area=False)


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        ("text,stars\nGood,5\n".encode("utf-8-sig"), "UTF-8", ","),
        ("text;stars\r\nGut, schön;5\r\n".encode("cp1252"), "cp1252", ";"),
        ("text\tstars\n好\t5\n不好\t1\n味道很好，下次再来\t5\n".encode("gb18030"), "GB18030", "\t"),
    ],
)
def test_encodings_and_delimiters_are_found(tmp_path: Path, content: bytes, encoding: str, delimiter: str) -> None:
    sheet = read_sheet(text_file(tmp_path, content))
    assert sheet.columns == ("text", "stars")
    assert (sheet.encoding, sheet.delimiter) == (encoding, delimiter)


def test_cells_stay_as_they_are_and_blank_rows_but_the_last(tmp_path: Path) -> None:
    sheet = read_sheet(text_file(tmp_path, 'text,n\n" two\nlines ",1\n,\nend,3\n,\n\n'))
    assert sheet.rows == ((" two\nlines ", "1"), ("", ""), ("end", "3"))
    assert sheet.numbers == (2, 3, 4)
    assert sheet.column("n") == ("1", "", "3")


def test_a_workbook_is_read_as_a_person_sees_it(tmp_path: Path) -> None:
    rows = [["when", "text", "stars", "share", "sure"], [date(2026, 11, 22), "Good =)", 5, 0.25, True]]
    sheet = read_sheet(workbook(tmp_path, {"Empty": [], "Data": rows}))
    assert sheet.columns == ("when", "text", "stars", "share", "sure")
    assert sheet.rows == (("2026-11-22", "Good =)", "5", "0.25", "True"),)
    assert (sheet.encoding, sheet.delimiter) == ("", "")


def test_a_workbook_called_csv_is_still_one(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"Data": [["text"], ["Good"]]}, "table.csv")
    assert read_sheet(path).rows == (("Good",),)


def test_a_table_of_one_column_without_a_header_is_read(tmp_path: Path) -> None:
    sheet = read_sheet(text_file(tmp_path, "Good\nBad\n" * 4))
    assert sheet.columns == ("#1",)
    assert len(sheet.rows) == 8


def test_longer_rows_are_refused_by_number_or_make_columns(tmp_path: Path) -> None:
    path = text_file(tmp_path, "text,stars\nGood,5\nBad,1,really\n")
    with pytest.raises(BadInput, match="3"):
        read_sheet(path)
    sheet = read_sheet(path, ragged=True)
    assert sheet.columns == ("text", "stars", "#3")
    assert sheet.rows == (("Good", "5", ""), ("Bad", "1", "really"))


@pytest.mark.parametrize("content", [b"", b"text,stars\n", b",,\n,,\n"])
def test_a_table_without_rows_is_refused_by_the_name_the_person_gave(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadInput, match=r"opinions\.csv"):
        read_sheet(text_file(tmp_path, content, "upload"), "opinions.csv")


@pytest.mark.parametrize("content", [b"PK\x03\x04 and then nothing", b"\xd0\xcf\x11\xe0 neither"])
def test_a_damaged_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadInput, match="workbook") as refused:
        read_sheet(text_file(tmp_path, content, "table.xlsx"))
    assert refused.value.code == "table_workbook"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/sheet.xml", "w") as entry:
        for _ in range(1100):
            entry.write(b"0" * 1_000_000)
    with pytest.raises(BadInput) as refused:
        read_sheet(path)
    assert refused.value.code == "document_bomb"


def test_the_column_of_texts_is_guessed(tmp_path: Path) -> None:
    rows = "id,when,review,note\n1,2026-01-01,A long and winding review of a book,ok\n2,2026-01-02,Short one,ok\n"
    assert guess_text(read_sheet(text_file(tmp_path, rows))) == "review"


RISKY = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]


def test_what_looks_like_a_formula_becomes_text(tmp_path: Path) -> None:
    csv_path, xlsx_path = tmp_path / "out.csv", tmp_path / "out.xlsx"
    kept = ["-5", "+49 30 123456", "-1.5%", "fine", "it's =1"]
    rows = [[cell, 0.5] for cell in RISKY + kept]
    write_csv(csv_path, ["=text", "score"], rows)
    with csv_path.open(encoding="utf-8-sig", newline="") as file:
        header, *written = csv.reader(file)
    assert header == ["'=text", "score"]
    assert [row[0] for row in written] == [f"'{cell}" for cell in RISKY] + kept
    assert write_xlsx(xlsx_path, ["=text", "score"], rows) == 0
    with zipfile.ZipFile(xlsx_path) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    assert [row[1] for row in cells_of(xlsx_path)[1:]] == [0.5] * len(rows)
    assert cells_of(xlsx_path)[1][0] == "=1+1"


def test_a_cell_too_long_for_a_workbook_is_cut_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    assert write_xlsx(path, ["text"], [["a" * LONGEST_CELL], ["b" * (LONGEST_CELL + 1)]]) == 1
    assert [len(str(row[0])) for row in cells_of(path)] == [4, LONGEST_CELL, LONGEST_CELL]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), st.text("ab,;\n\" '")), min_size=1
    )
)
def test_what_is_written_is_read_again(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    rows = [("x" + a, "y" + b) for a, b in rows]
    path = tmp_path / "out.csv"
    write_csv(path, ["first", "second"], rows)
    sheet = read_sheet(path)
    assert sheet.columns == ("first", "second")
    assert list(sheet.rows) == rows
