"""The same few sentences in several languages: what a base model is shown before it translates.

Written for this app. A language is here when translating from and to it was measured to work.
"""

from __future__ import annotations

from collections.abc import Mapping

PARALLEL: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Good morning! Did you sleep well?",
        "The library is closed on Sundays.",
        "Click the button to save your changes.",
        "She bought three apples and a loaf of bread at the market.",
        "If it rains tomorrow, we will stay at home and read.",
        "Open the file menu, choose Print, and select the pages that you want.",
    ),
    "de": (
        "Guten Morgen! Hast du gut geschlafen?",
        "Die Bibliothek ist sonntags geschlossen.",
        "Klicken Sie auf den Knopf, um Ihre Änderungen zu speichern.",
        "Sie kaufte auf dem Markt drei Äpfel und einen Laib Brot.",
        "Wenn es morgen regnet, bleiben wir zu Hause und lesen.",
        "Öffnen Sie das Dateimenü, wählen Sie »Drucken« und markieren Sie die gewünschten Seiten.",
    ),
    "es": (
        "¡Buenos días! ¿Has dormido bien?",
        "La biblioteca está cerrada los domingos.",
        "Pulse el botón para guardar los cambios.",
        "Ella compró tres manzanas y una barra de pan en el mercado.",
        "Si mañana llueve, nos quedaremos en casa leyendo.",
        "Abra el menú Archivo, elija Imprimir y seleccione las páginas que desee.",
    ),
    "fr": (
        "Bonjour ! As-tu bien dormi ?",
        "La bibliothèque est fermée le dimanche.",
        "Cliquez sur le bouton pour enregistrer vos modifications.",
        "Elle a acheté trois pommes et un pain au marché.",
        "S'il pleut demain, nous resterons à la maison pour lire.",
        "Ouvrez le menu Fichier, choisissez Imprimer et sélectionnez les pages que vous voulez.",
    ),
    "zh": (
        "早上好！你睡得好吗？",
        "图书馆星期天不开门。",
        "点击按钮以保存您的更改。",
        "她在市场上买了三个苹果和一条面包。",
        "如果明天下雨，我们就待在家里看书。",
        "打开文件菜单，选择“打印”，然后选中您想要的页面。",
    ),
}
