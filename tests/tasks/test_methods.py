"""Auto takes sentences where that was measured to be better, and says so with the figures."""

from dataclasses import replace

import pytest

from llmapp.catalog import Catalog
from llmapp.errors import BadInput
from llmapp.tasks.methods import extractor, method_for
from llmapp.tasks.summarize import SummaryOptions
from tests.fake_engine import MODEL

TEXT = "The lighthouse was built in 1828. Its lamp was lit by hand until 1998. Nobody lives there today."
WEAK = replace(MODEL, name="Weak", summaries={"articles": 0.10, "letters": 0.9})
STRONG = replace(MODEL, name="Strong", summaries={"articles": 0.30})
ENCODER = replace(MODEL, id="encoder", kind="encoder", summaries={"articles": 0.20})


def taken(wish="auto", writer=WEAK, encoder=ENCODER, own_choice=False, language="", text=TEXT):
    return method_for(wish, text, SummaryOptions(language=language), writer, encoder, own_choice)


def test_auto_goes_by_what_was_measured_on_the_same_texts():
    found = taken()
    assert found.taken
    assert found.why.code == "reason.summary_taken"
    assert all(part in found.why.text() for part in ("Weak", "0.20", "0.10"))
    assert not taken(writer=STRONG).taken
    assert not taken(writer=MODEL).taken
    assert not taken(encoder=None).taken


def test_what_a_person_chose_is_done_and_needs_no_reason():
    assert taken("taken", STRONG) == taken("taken", WEAK, own_choice=True)
    assert (taken("taken").taken, taken("taken").why) == (True, None)
    assert (taken("written").taken, taken("written").why) == (False, None)
    assert not taken(own_choice=True).taken
    assert taken(writer=ENCODER, own_choice=True).taken
    with pytest.raises(BadInput, match="`method` is `poem`"):
        taken("poem")


def test_a_summary_in_another_language_is_written():
    assert not taken(language="de").taken
    assert taken(language="en").taken


def test_what_is_taken_stays_in_its_language_and_that_is_said():
    found = taken("taken", language="de")
    assert (found.taken, found.why.code) == (True, "reason.summary_untranslated")
    assert taken("taken", language="en").why is None


def test_the_catalog_has_the_figures_of_what_ships(catalog: Catalog):
    encoder, writer = extractor(catalog.models()), catalog.model("smollm2-135m-instruct")
    assert encoder is not None
    assert encoder.id == "all-minilm-l6-v2"
    assert writer.summaries
    assert all(writer.summaries[name] < encoder.summaries[name] for name in writer.summaries)
    assert method_for("auto", TEXT, SummaryOptions(), writer, encoder, False).taken
