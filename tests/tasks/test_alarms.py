"""An alarm rings where a translation lost something, and not for how languages write the same thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.tasks.alarms import alarms, numbers, size

LONG = "The library in the old town is closed on Sundays and on all public holidays of the year."
WHOLE = "Die Bibliothek in der Altstadt ist an Sonntagen und an allen Feiertagen des Jahres geschlossen."


def codes(source: str, translation: str) -> list[str]:
    return [alarm.code.removeprefix("reason.translation_") for alarm in alarms(source, translation)]


@pytest.mark.parametrize(
    ("source", "translation", "code"),
    [
        (LONG, LONG, "same"),
        (LONG, "Die Bibliothek ist geschlossen.", "short"),
        (LONG, "图书馆不开。", "short"),
        (LONG, f"{WHOLE} {WHOLE}", "long"),
        ("It costs 45 euros.", "Es kostet 54 Euro.", "numbers_lost"),
        ("It costs some euros.", "Es kostet 54 Euro.", "numbers_added"),
        ("See https://example.org/a for more.", "Mehr auf https://example.org/b lesen.", "addresses"),
        ("Write to ann.lee@example.org soon.", "Schreiben Sie bald an ann.lee@example.", "addresses"),
    ],
)
def test_what_looks_wrong_is_named(source, translation, code):
    assert code in codes(source, translation)


@pytest.mark.parametrize(
    ("source", "translation"),
    [
        (LONG, WHOLE),
        (LONG, "老城区的图书馆每逢星期日以及全年所有公共假日都不对外开放。"),
        ("It has 1,250,000.5 lines.", "Es hat 1.250.000,5 Zeilen."),
        ("It has 12 500 lines.", "它有 12500 行。"),
        ("Der Zug kommt um 10 Uhr.", "The train comes at 10:00."),
        ("On 2024-05-01 at 8.", "Am 1.5.2024 um 08 Uhr."),
        ("Call 112.", "请拨打１１２。"),
        ("Call 112.", "اتصل على ١١٢."),
        ("The debug symbols of libdkim1 are here.", "Hier sind die Debugsymbole."),
        ("See https://example.org/a.", "Siehe https://example.org/a!"),
        ("（见 https://example.org/a）", "(see https://example.org/a)"),
        ("OK", "Einverstanden"),
    ],
)
def test_how_languages_write_is_no_alarm(source, translation):
    assert codes(source, translation) == []


def test_the_alarm_names_what_is_lost_and_its_sentence():
    (alarm,) = alarms("Pay 120 or 130 now.", "Zahlen Sie jetzt 120.")
    assert "(130)" in alarm.text("en")
    assert "Pay 120 or 130 now." in alarm.text("zh")


@given(st.integers(min_value=0, max_value=10**12))
def test_a_number_is_the_same_with_any_separator(number):
    plain = numbers(f"a {number} b")
    for separator in (",", ".", "\u202f", "'"):
        assert numbers(f"a {number:,} b".replace(",", separator)) == plain


def test_a_chinese_character_counts_as_three_letters():
    assert size("图书馆 a b") == 11
