"""What rendered text says: words of a few languages, names, numbers, plates, prices, times, addresses; nothing of it is real data."""

from __future__ import annotations

import string

import numpy as np

WORDS = """the and for with from open closed exit entry street road avenue market station north south east west left right stop
slow danger warning caution private parking public school hospital police fire water service office room floor gate level platform
ticket price sale offer special new best free fresh coffee bread books music hotel bar cafe garden museum theatre bridge tower
square park river lake hill castle church bank post taxi bus train metro tram airport terminal arrival departure customs baggage
push pull press hold keep clear wait here please thank you welcome today tomorrow morning evening night open daily hours monday
tuesday wednesday thursday friday saturday sunday january february march april june july august september october november december
file edit view insert format tools window help save print cancel search settings display network system update error memory
news weather sport report live breaking interview president minister government election people world country city house family
quick brown fox jumps over lazy dog pack my box five dozen liquor jugs sphinx black quartz judge vow zebra jukebox puzzle oxygen
maximum speed limit weight height width length number total amount balance invoice receipt customer address phone email
und der die das nicht mit von zu ist auf ein eine strasse bahnhof ausgang eingang verboten achtung betreten haus apotheke rathaus
le la les des est une pour dans avec rue sortie gare mairie boulangerie pharmacie ouvert defense entree
el los las una calle salida entrada abierto cerrado peligro farmacia via uscita ingresso aperto chiuso rua saida
""".split()
ACCENTED = """Straße Fußgänger geöffnet für über Bäckerei Müller Köln Düsseldorf défense d'entrée fermé métro élève crêpe hôtel
peatón señal niño año mañana café São Açúcar città perché Århus Øresund smörgås Malmö Göteborg""".split()
GREEK = "ΕΞΟΔΟΣ ΕΙΣΟΔΟΣ οδός στάση λεωφορείο κίνδυνος προσοχή αγορά πλατεία σταθμός φαρμακείο ανοικτό κλειστό".split()
CYRILLIC = "ВЫХОД ВХОД улица станция осторожно опасно аптека магазин открыто закрыто вокзал площадь проспект продукты".split()
_OTHER = {"accents": ACCENTED, "greek": GREEK, "cyrillic": CYRILLIC}

_LETTERS, _DIGITS = np.array(list(string.ascii_letters)), np.array(list(string.digits))


def _digits(random: np.random.Generator, count: int) -> str:
    return "".join(random.choice(_DIGITS, count))


def _capitals(random: np.random.Generator, count: int) -> str:
    return "".join(random.choice(_LETTERS[26:], count))


def _number(random: np.random.Generator) -> str:
    """A plate, a price, a time, a date, a telephone number, an amount, an address of the web."""
    of = int(random.integers(9))
    word = str(random.choice(WORDS))
    return (
        f"{_capitals(random, int(random.integers(1, 4)))} {_digits(random, int(random.integers(2, 5)))} {_capitals(random, 2)}",
        f"{_capitals(random, int(random.integers(1, 4)))}-{_digits(random, int(random.integers(3, 6)))}",
        f"{random.choice(['$', '', ''])}{int(random.integers(1, 999))}.{_digits(random, 2)}",
        f"{int(random.integers(24)):02}:{int(random.integers(60)):02}",
        f"{int(random.integers(1, 32)):02}/{int(random.integers(1, 13)):02}/{int(random.integers(1980, 2040))}",
        f"+{_digits(random, 2)} {_digits(random, 3)} {_digits(random, 4)}",
        f"{int(random.integers(1, 100))} {random.choice(['km', 'm', '%', 'kg', 't', 'km/h'])}",
        f"www.{word}.{random.choice(['com', 'org', 'net', 'de', 'fr'])}",
        f"{word.capitalize()} {int(random.integers(1, 300))}",
    )[of]


def _cased(word: str, case: int) -> str:
    return (word.lower(), word.capitalize(), word.upper(), word)[case]


def phrase(random: np.random.Generator, scripts: frozenset[str] = frozenset(), words: int = 4) -> str:
    """One line: one to ``words`` words of one case, or a number, or letters without sense; in a script besides plain Latin now and
    then, if ``scripts`` (see ``fonts.SCRIPTS``) has it."""
    kind = random.random()
    count = int(random.integers(1, words + 1))
    if kind < 0.28:
        return _number(random)
    if kind < 0.36:
        return "".join(random.choice(_LETTERS, int(random.integers(3, 9))))
    case = int(random.integers(3))
    if kind < 0.5 and scripts:
        listed = _OTHER[str(random.choice(sorted(scripts)))]
        return " ".join(_cased(str(word), case if random.random() < 0.7 else 3) for word in random.choice(listed, count))
    text = " ".join(_cased(str(word), case) for word in random.choice(WORDS, count))
    return text + str(random.choice(["", "", "", ".", "!", "?", ",", ":"]))


def plain(random: np.random.Generator, words: int = 3) -> str:
    """One line of unaccented Latin letters, digits and spaces alone, for measuring by optical character recognition: a half words,
    a half numbers and letters without sense, which cannot be guessed."""
    if random.random() < 0.5:
        case = int(random.integers(3))
        return " ".join(_cased(str(word), case) for word in random.choice(WORDS, int(random.integers(1, words + 1))))
    letters = _LETTERS if random.random() < 0.5 else _LETTERS[26:]
    both = np.concatenate([letters, _DIGITS, _DIGITS])
    return "".join(random.choice(both, int(random.integers(5, 11))))


def short(random: np.random.Generator) -> str:
    """One short line of unaccented Latin letters, digits and spaces alone, for a recogniser: a third one or two words, the others letters and
    digits without sense, so that letters are learnt and no language."""
    if random.random() < 0.35:
        case = int(random.integers(3))
        return " ".join(_cased(str(word), case) for word in random.choice(WORDS, int(random.integers(1, 3))))
    letters = _LETTERS if random.random() < 0.6 else _LETTERS[26:]
    both = np.concatenate([letters, _DIGITS, _DIGITS])
    return "".join(random.choice(both, int(random.integers(3, 10))))


def characters_wrong(truth: str, said: str) -> int:
    """The fewest characters to insert, leave out or change to come from one to the other (Levenshtein's distance)."""
    row = list(range(len(said) + 1))
    for i, left in enumerate(truth, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]
