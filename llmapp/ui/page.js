// Small things the page does in the browser itself.

// Ctrl+Enter presses the one primary button in sight.
addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const button = [...document.querySelectorAll("button.primary")].find((b) => b.offsetParent && !b.disabled);
  if (button) {
    event.preventDefault();
    button.click();
  }
});

// The line of facts under an answer is for the eye: the copy button leaves it out, and gives `<` as it was written.
if (navigator.clipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  const facts = /\s*<small class="facts">.*?<\/small>/gs;
  navigator.clipboard.writeText = (text) => write(text.replace(facts, "").replaceAll("&lt;", "<"));
}

// In a translation, a sentence that is pointed at, tapped or reached by Tab lights up with its pair.
for (const kind of ["mouseover", "focusin", "click"]) {
  addEventListener(kind, ({ target }) => {
    const place = target.closest?.("[data-pair]"), all = target.closest?.(".pairs");
    document.querySelectorAll(".pairs .lit").forEach((each) => each.classList.remove("lit"));
    if (place && all) all.querySelectorAll(`[data-pair="${place.dataset.pair}"]`).forEach((each) => each.classList.add("lit"));
  });
}
