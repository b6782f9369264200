"""How personal data and card numbers look wherever they are shown without the permission to reveal them.

The forms are those that are usual in China (row CN-MASK): of a card number the first six and the last four, of an
identity number the first three and the last four, of a mobile number the first three and the last four, of a name the
surname.
"""

_SHOWN = 4

_PAIRS = (
    "欧阳太史端木上官司马东方独孤南宫万俟闻人夏侯诸葛尉迟公羊赫连澹台皇甫宗政濮阳公冶太叔申屠公孙慕容"
    "仲孙钟离长孙宇文司徒鲜于司空闾丘子车亓官司寇巫马公西颛孙壤驷公良漆雕乐正宰父谷梁拓跋夹谷轩辕令狐"
    "段干百里呼延东郭南门羊舌微生公户公玉公仪梁丘公仲公上公门公山公坚左丘公伯西门公祖第五公乘贯丘公皙"
    "南荣东里东宫仲长子书子桑即墨达奚褚师"
)
_DOUBLE_SURNAMES = frozenset(_PAIRS[at : at + 2] for at in range(0, len(_PAIRS), 2))


def mask_number(number: str) -> str:
    """The number with everything but its last four digits hidden; its length is hidden too.

    >>> mask_number("8888000000000001234")
    '**** **** **** 1234'
    """
    return f"**** **** **** {number[-_SHOWN:]}"


def mask_card_number(number: str) -> str:
    """A whole card number with its first six and last four digits shown; a short one with its last four.

    >>> mask_card_number("8888010000000001234"), mask_card_number("888801234567"), mask_card_number("123")
    ('888801*********1234', '********4567', '***')
    """
    head = 6 if len(number) >= 13 else 0
    return _mask(number, head=head, tail=4)


def mask_phone(phone: str) -> str:
    """A phone number with its first three (after a country code) and last four digits shown.

    >>> mask_phone("13912345678"), mask_phone("+8613912345678"), mask_phone("0101234"), mask_phone("")
    ('139****5678', '+86139****5678', '***1234', '')
    """
    country = phone[:3] if phone.startswith("+86") else ""
    rest = phone[len(country) :]
    return country + _mask(rest, head=3 if len(rest) >= 11 else 0, tail=4)


def mask_identity(number: str) -> str:
    """An identity number with its first three and last four characters shown; a short one with its last two.

    >>> mask_identity("110101199003071233"), mask_identity("E12345678"), mask_identity("A1")
    ('110***********1233', '*******78', '**')
    """
    return _mask(number, head=3, tail=4) if len(number) >= 15 else _mask(number, head=0, tail=2)


def mask_name(name: str) -> str:
    """A name with its surname shown: of a Chinese one one or two characters, of others the first letter of each word.

    >>> mask_name("王小明"), mask_name("欧阳修"), mask_name("李"), mask_name("Jane Doe")
    ('王**', '欧阳*', '*', 'J*** D**')
    """
    if name.isascii():
        return " ".join(word[0] + "*" * (len(word) - 1) if len(word) > 1 else "*" for word in name.split())
    head = 2 if name[:2] in _DOUBLE_SURNAMES and len(name) > 2 else 1
    return _mask(name, head=head, tail=0)


def _mask(text: str, *, head: int, tail: int) -> str:
    """``text`` with the first ``head`` and last ``tail`` characters shown, or none when that would show nearly all."""
    if len(text) <= head + tail:
        return "*" * len(text)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]
