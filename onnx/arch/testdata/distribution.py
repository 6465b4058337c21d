"""How the scripts of initial values describe them."""


def describe(x):
    x = x.double()
    if x.min() == x.max():
        return "constant", x[0]
    std, most = (x * x).mean().sqrt(), x.abs().max()
    assert x.mean().abs() < 5 * std / x.numel() ** 0.5, "not around 0"
    return ("uniform", most) if most < 1.95 * std else ("normal", std)
