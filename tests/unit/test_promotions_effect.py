"""Effects are estimated from control groups: honest about chance, narrower with the past."""

from random import Random

from kaquan.promotions.effect import MIN_HOLDERS, Bought, estimate_effect


def holders(number: int, effect_fen: int, seed: int) -> list[Bought]:
    """Holders whose purchases after follow those before, and who buy more if they are treated."""
    chance = Random(seed)
    found = []
    for _ in range(number):
        before = chance.randrange(10_000)
        is_control = chance.random() < 0.1
        after = before + chance.randrange(2_000) + (0 if is_control else effect_fen)
        found.append(Bought(is_control, after, before))
    return found


def test_the_interval_holds_the_true_effect_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        effect = estimate_effect(holders(1_000, 300, seed))
        assert effect is not None
        hits += effect.low_fen <= 300 <= effect.high_fen
    assert 180 <= hits <= 198


def test_the_past_narrows_the_interval() -> None:
    bought = holders(2_000, 300, 1)
    effect = estimate_effect(bought)
    blind = estimate_effect([one._replace(before_fen=0) for one in bought])
    assert effect is not None
    assert blind is not None
    assert effect.explained > 0.9
    assert blind.explained == 0
    assert effect.high_fen - effect.low_fen < (blind.high_fen - blind.low_fen) / 3
    assert blind.difference_fen == blind.raw_difference_fen == effect.raw_difference_fen


def test_too_few_are_not_compared() -> None:
    few = [Bought(number < MIN_HOLDERS - 1, number, number) for number in range(1_000)]
    assert estimate_effect(few) is None
    assert estimate_effect([]) is None


def test_nothing_differs_where_everybody_buys_the_same() -> None:
    effect = estimate_effect([Bought(number % 2 == 0, 500, 500) for number in range(100)])
    assert effect is not None
    assert (effect.difference_fen, effect.low_fen, effect.high_fen) == (0, 0, 0)
