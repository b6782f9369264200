"""How people look wherever they are shown without the permission to reveal them (CN-MASK, from memory of JR/T 0171)."""


def mask_name(name: str) -> str:
    """The surname alone: the first character; how long the name is stays hidden.

    >>> mask_name("王小明")
    '王**'
    """
    return f"{name[:1]}**"


def mask_phone(phone: str) -> str:
    """Of a Chinese mobile number the first three and the last four digits, of another number the last four.

    >>> mask_phone("+8613812345678"), mask_phone("+442079460958")
    ('138****5678', '****0958')
    """
    if phone.startswith("+861") and len(phone) == 14:
        return f"{phone[3:6]}****{phone[-4:]}"
    return f"****{phone[-4:]}"


def mask_document(number: str) -> str:
    """The first three and the last four characters.

    >>> mask_document("11010519491231002X")
    '110***********002X'
    """
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"
