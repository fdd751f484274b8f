(() => {
  // Gradio translates by navigator.language; a choice made on the page is a cookie that answers in its place.
  const chosen = document.cookie.match(/(?:^|; )llmapp_language=(\w+)/);
  if (chosen) {
    Object.defineProperty(navigator, "language", { get: () => chosen[1] });
    Object.defineProperty(navigator, "languages", { get: () => [chosen[1]] });
  }
  document.documentElement.lang = navigator.language.slice(0, 2);
})();
