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

// What is to be copied as it stands: the button's own part, beside it.
const copyText = navigator.clipboard?.writeText.bind(navigator.clipboard);
addEventListener("click", async (event) => {
  const button = event.target.closest?.("details.call button");
  if (!button) return;
  const code = button.closest("div").querySelector("pre");
  if (copyText) await copyText(code.textContent);
  else {
    // A page without https may not write to the clipboard otherwise.
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = button.dataset.done;
});

// The line of facts under an answer is for the eye: the copy button leaves it out, and gives `<` as it was written.
if (copyText) {
  const facts = /\s*<small class="facts">.*?<\/small>/gs;
  navigator.clipboard.writeText = (text) => copyText(text.replace(facts, "").replaceAll("&lt;", "<"));
}

// In a translation, a sentence that is pointed at, tapped or reached by Tab lights up with its pair.
for (const kind of ["mouseover", "focusin", "click"]) {
  addEventListener(kind, ({ target }) => {
    const place = target.closest?.("[data-pair]"), all = target.closest?.(".pairs");
    document.querySelectorAll(".pairs .lit").forEach((each) => each.classList.remove("lit"));
    if (place && all) all.querySelectorAll(`[data-pair="${place.dataset.pair}"]`).forEach((each) => each.classList.add("lit"));
  });
}
