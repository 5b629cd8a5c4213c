"""Threefry-2x32 with 20 rounds in plain Python integers, after Salmon, Moraes, Dror & Shaw (2011), section 3.3."""

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
MASK = 0xFFFF_FFFF


def threefry_2x32(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Two random words."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for turn in range(20):
        rotation = ROTATIONS[turn % 8]
        x = (x + y) & MASK
        y = ((y << rotation) | (y >> (32 - rotation))) & MASK
        y ^= x
        if turn % 4 == 3:
            injection = turn // 4 + 1
            x = (x + keys[injection % 3]) & MASK
            y = (y + keys[(injection + 1) % 3] + injection) & MASK
    return x, y
