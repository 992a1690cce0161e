"""Number words and units, in the spellings that texts use."""

from __future__ import annotations

from typing import Final

_CARDINALS: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen twenty""".split()
_TENS: Final = "thirty forty fifty sixty seventy eighty ninety hundred".split()
_ORDINALS: Final = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh
    twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth
    twentieth""".split()
# The value of each number word, and whether it counts places. "One" is rarely a number, and
# "hundred" beside another number is its unit.
NUMBER_WORDS: Final[dict[str, tuple[float, bool]]] = (
    {word: (float(value), False) for value, word in enumerate(_CARDINALS) if word != "one"}
    | {word: (10.0 * value, False) for value, word in enumerate(_TENS[:-1], start=3)}
    | {word: (float(value), True) for value, word in enumerate(_ORDINALS, start=1)}
)
# Years in each unit of time that has some.
YEARS: Final = {
    **dict.fromkeys(("year", "years", "yr", "yrs"), 1.0),
    **dict.fromkeys(("decade", "decades"), 10.0),
    **dict.fromkeys(("century", "centuries"), 100.0),
}
# Units of one line measure the same kind of thing; each has a name and its spellings.
_KINDS: Final = (
    """second=second,seconds,sec,secs minute=minute,minutes,min,mins hour=hour,hours,hr,hrs
    day=day,days week=week,weeks month=month,months year=year,years,yr,yrs decade=decade,decades
    century=century,centuries""",
    """kilometre=km,kilometre,kilometres,kilometer,kilometers mile=mi,mile,miles
    metre=m,metre,metres,meter,meters centimetre=cm,centimetre,centimetres,centimeter,centimeters
    millimetre=mm,millimetre,millimetres,millimeter,millimeters foot=ft,foot,feet inch=inch,inches
    yard=yd,yard,yards""",
    """kilogram=kg,kilogram,kilograms,kilo,kilos gram=g,gram,grams milligram=mg,milligrams
    pound=lb,lbs,pound,pounds ounce=oz,ounce,ounces ton=ton,tons,tonne,tonnes""",
    """litre=l,litre,litres,liter,liters gallon=gal,gallon,gallons pint=pint,pints
    millilitre=ml,millilitre,millilitres,milliliter,milliliters""",
    """dollar=$,dollar,dollars,usd euro=€,euro,euros,eur pound=£,pound,pounds,gbp
    yen=¥,yen,jpy cent=cent,cents,¢""",
    """hundred=hundred thousand=thousand,k million=million,m billion=billion,bn
    trillion=trillion""",
    """percent=%,percent permille=‰,permille""",
    """celsius=°c,celsius fahrenheit=°f,fahrenheit""",
    """kilobyte=kb megabyte=mb gigabyte=gb terabyte=tb""",
)
# For each spelling the unit's name by its kind: "pounds" are a weight or money.
UNITS: Final[dict[str, dict[int, str]]] = {}
for _kind, _line in enumerate(_KINDS):
    for _entry in _line.split():
        _name, _, _spellings = _entry.partition("=")
        for _spelling in _spellings.split(","):
            UNITS.setdefault(_spelling, {})[_kind] = _name
