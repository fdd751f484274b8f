// Small things the page does in the browser itself.

// Gradio translates by navigator.language; a choice made on the page is a cookie that answers in its place.
const chosen = document.cookie.match(/(?:^|; )llmapp_language=(\w+)/);
if (chosen) {
  Object.defineProperty(navigator, "language", { get: () => chosen[1] });
  Object.defineProperty(navigator, "languages", { get: () => [chosen[1]] });
}
document.documentElement.lang = navigator.language.slice(0, 2);

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
