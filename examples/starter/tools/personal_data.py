"""Columns that hold personal data, recognised by their header or by the shape of their cells."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

PEOPLE = """
    client contact customer doctor driver employee guest holder member owner passenger patient person seller
    student tenant user cliente kunde persona personne
"""
NAMES = """
    familyname firstname forename fullname givenname lastname maidenname middlename nickname surname username
    apellido apellidos cognome familienname nachname prenom vorname
"""
REACHED_BY = """
    address cellphone email fax ipaddress mail mobile phone street telephone
    adresse correo courriel direccion handy indirizzo strasse telefon telefono
"""
NUMBERED_BY = """
    cardnumber creditcard driverslicence driverslicense iban identitycard licenceplate licenseplate nationalid
    passport socialsecurity ssn taxid aadhaar ahv bsn codicefiscale cpf dni nie nif nino personnummer
"""
BORN = """
    birthdate birthday birthyear dateofbirth dob yearofbirth
    datedenaissance fechadenacimiento datadinascita geburtsdatum geburtsjahr geburtstag
"""
BESIDES = """
    a all billing business cell contact current delivery e first full home id last legal main middle mobile
    new no nr num number of office old original other permanent personal phone postal primary private
    secondary shipping the value work
"""
"""Words of a header that change nothing of what the others say; phone_model is no phone."""
GIVEN = """
    alexander ali andrea andrew anna anne antonio ben carlos charles christian claudia daniel david elena
    elizabeth emily emma fatima francesco george giulia hans helen henry ines jack james jan jane jean
    jennifer jessica joao johann john jose juan julia karen klaus laura linda lisa luca lukas maria marie mark
    markus martin mary michael mohamed mohammed nina olga oliver pablo patricia paul peter pierre priya raj
    richard robert sarah sofia sophie stefan susan sven thomas tom ursula wei william yuki
"""
CELLS = 1_000
"""So many different cells are looked at."""
USUAL, SOME = 0.5, 0.3
"""Shares of the cells: from where on they have a shape, and from where on given names are no chance."""
FEW = 10
"""So many different values of a contact, such as phone, are kinds of it rather than somebody's own."""
DIGITS = 7
"""Of a number that is somebody's phone or identity card; shorter ones count something."""


class Suspicion(NamedTuple):
    """Why a column seems to be personal; ``sure`` where little else is likely."""

    why: str
    sure: bool = True
    identifies: bool = True
    """Whether it says who somebody is, so that no request needs it; a date of birth does not."""


def suspicion(header: str, kind: str, cells: Sequence[str], declared: bool | None = None) -> Suspicion | None:
    """Say why the column seems to be personal, or was declared so; None where neither is the case."""
    if declared is not None:
        return Suspicion("declared so") if declared else None
    if kind == "boolean":
        return None
    some = sorted(set(cells))[:CELLS]
    if found := _by_shape(some) or _by_header(header, kind, some):
        return found
    return Suspicion("many of its values look like names of people", False) if _are_people(some) else None


def _by_shape(cells: Sequence[str]) -> Suspicion | None:
    for shape, sure, fits in SHAPES:
        if sum(map(fits, cells)) > USUAL * len(cells):
            return Suspicion(f"its values look like {shape}", sure)
    return None


def _by_header(header: str, kind: str, cells: Sequence[str]) -> Suspicion | None:
    words = _words(header)
    if word := _said(words, BORN):
        return Suspicion(f"its header says {word}", identifies=kind in ("category", "text"))
    if kind == "datetime":
        return None
    numbers = kind in ("number", "integer")
    if word := _said(words, NUMBERED_BY, REACHED_BY):
        digits = sum(len(re.sub(r"\D", "", cell)) >= DIGITS for cell in cells) > USUAL * len(cells)
        why = f"its header says {word}"
        return Suspicion(why, _alone(words, word)) if len(cells) > FEW and (digits or not numbers) else None
    if numbers or len(cells) == 2:  # a name that is given, or not
        return None
    people = " ".join(f"{who}name" for who in _set(PEOPLE))
    if word := _said(words, NAMES, people):
        return Suspicion(f"its header says {word}", _alone(words, word) and len(cells) > FEW)
    # Products, places and cars have a name too.
    return Suspicion("its header says name", _are_people(cells)) if "name" in words else None


def _said(words: Sequence[str], *texts: str) -> str:
    """Return the longest word that a header says: "First name" and firstName both say firstname."""
    joined = {"".join(words[start:end]) for end in range(len(words) + 1) for start in range(end)}
    return max(joined & _set(*texts), key=len, default="")


def _alone(words: Sequence[str], word: str) -> bool:
    """Whether the other words of a header change nothing of it."""
    return all(other in word or other in _set(BESIDES, PEOPLE) for other in words)


def _are_people(cells: Sequence[str]) -> bool:
    given = _set(GIVEN)
    people = [c for c in cells if re.fullmatch(r"[^\W\d_][\w .,'-]{,60}", c) and given & set(_words(c))]
    return len(people) > SOME * len(cells)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", plain)]


def _set(*texts: str) -> set[str]:
    return {word for text in texts for word in text.split()}


def _like(*patterns: str) -> Callable[[str], bool]:
    either = re.compile("|".join(patterns), re.IGNORECASE)
    return lambda cell: len(cell) <= LONGEST and either.fullmatch(cell) is not None


def _is_iban(cell: str) -> bool:
    """Two letters, two check digits, and a remainder of 1 modulo 97."""
    text = cell.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", text):
        return False
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def _is_card(cell: str) -> bool:
    """13 to 19 digits, the last of which checks the others (Luhn)."""
    digits = re.sub("[ -]", "", cell)
    if not re.fullmatch("[3-6][0-9]{12,18}", digits):
        return False
    weighted = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 * (number > 9) for number in weighted) % 10 == 0


def _is_dni(cell: str) -> bool:
    """Spain's: eight digits, and a letter that checks them."""
    if not re.fullmatch("[0-9]{8}-?[A-Z]", cell):
        return False
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(cell[:8]) % 23] == cell[-1]


LONGEST = 200
"""Characters of a cell that may be an address or a number of somebody's."""
ROAD = "street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|way|court|square"
BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
ADDRESSES_OF_MACHINES = (rf"{BYTE}\.{BYTE}\.{BYTE}\.{BYTE}", r"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}")
IDENTITY = (
    r"\d{3}-\d{2}-\d{4}",  # USA
    r"756\.\d{4}\.\d{4}\.\d{2}",  # Switzerland
    r"\d{3}\.\d{3}\.\d{3}-\d{2}",  # Brazil
    r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]",  # Italy
)
PHONE = (r"\+\d[\d ()./-]{6,}\d", r"\(\d{2,5}\) ?\d[\d -]{4,}\d", r"\d{3}[-.]\d{3}[-.]\d{4}")
ADDRESS = (
    rf"\d+\w?,? .*\b(?:{ROAD})\b.*",
    r".*(?:straße|strasse|str\.|weg|gasse|allee|platz) \d+ ?[a-z]?\b.*",
    r"\d+,? (?:rue|avenue|boulevard|chemin|place) .*",
    r"(?:calle|avenida|via|viale|piazza|rua) .*\d+.*",
)
SHAPES: tuple[tuple[str, bool, Callable[[str], bool]], ...] = (
    ("e-mail addresses", True, _like(r"[^@\s]+@[^@\s]+\.\w+")),
    ("IBANs", True, _is_iban),
    ("card numbers", True, _is_card),
    ("phone numbers", True, _like(*PHONE)),
    ("identity numbers", True, _like(*IDENTITY)),
    ("identity numbers", True, _is_dni),
    ("identity numbers", False, _like(r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]", r"\d{4} \d{4} \d{4}")),
    ("phone numbers", False, _like(r"0\d{2,4}[ /-]\d[\d -]{4,}\d")),
    ("IP addresses", False, _like(*ADDRESSES_OF_MACHINES)),
    ("postal addresses", False, _like(*ADDRESS)),
    ("names of people", True, _like(r"(?:.*, ?)?(?:mr|mrs|ms|miss|dr|herr|frau|mme)\b\.? .*")),
)
"""Shapes of values, and whether little else has them."""
