"""Reference programs of the generated problems.

Each takes the words of standard input, then the parameters of its problem. It needs nothing outside its own
text, so its source is a whole answer.
"""


def affine(words: list[str], a: int, b: int) -> object:
    return a * int(words[0]) + b


def remainder(words: list[str], k: int, c: int) -> object:
    return (int(words[0]) + c) % k


def sum_of_two(words: list[str], a: int, b: int) -> object:
    return a * int(words[0]) + b * int(words[1])


def larger_after(words: list[str], a: int, b: int) -> object:
    return max(int(words[0]) + a, int(words[1]) + b)


def repeat_word(words: list[str], k: int, suffix: str) -> object:
    return words[0] * k + suffix


def is_divisible(words: list[str], k: int, r: int) -> object:
    return "yes" if int(words[0]) % k == r else "no"


def count_above(words: list[str], k: int, c: int) -> object:
    return sum(int(word) > k for word in words[1:]) + c


def sum_of_multiples(words: list[str], k: int, r: int) -> object:
    return sum(int(word) for word in words[1:] if int(word) % k == r)


def clipped_sum(words: list[str], low: int, high: int) -> object:
    return sum(min(max(int(word), low), high) for word in words[1:])


def every_kth(words: list[str], k: int, start: int) -> object:
    return " ".join(words[1:][start::k])


def largest_product(words: list[str], k: int, c: int) -> object:
    numbers = sorted(map(int, words[1:]))
    return numbers[-1] * numbers[-2] % k + c


def digit_sum(words: list[str], base: int, c: int) -> object:
    number, total = int(words[0]), 0
    while number:
        number, digit = divmod(number, base)
        total += digit
    return total + c


def shift_letters(words: list[str], k: int, c: int) -> object:
    letters = (chr((ord(letter) - 97 + k) % 26 + 97) for letter in words[0])
    return "".join(letters)[::-1] if c else "".join(letters)


def in_base(words: list[str], base: int, width: int) -> object:
    number, digits = int(words[0]), ""
    while number:
        number, digit = divmod(number, base)
        digits = "0123456789abcdefghij"[digit] + digits
    return digits.rjust(width, "0")


def rotate(words: list[str], k: int, c: int) -> object:
    numbers = words[1:]
    k %= len(numbers)
    return " ".join(str(int(word) + c) for word in numbers[k:] + numbers[:k])


def longest_run(words: list[str], k: int, c: int) -> object:
    best = run = 0
    for word in words[1:]:
        run = run + 1 if int(word) % k >= c else 0
        best = max(best, run)
    return best


def window_sum(words: list[str], k: int, c: int) -> object:
    numbers = list(map(int, words[1:]))
    return max(sum(numbers[i : i + k]) for i in range(len(numbers) - k + 1)) + c


def collatz(words: list[str], a: int, b: int) -> object:
    number, steps = int(words[0]), 0
    while number > 1 and steps < a:
        number = number // 2 if number % 2 == 0 else 3 * number + b
        steps += 1
    return number


def frequent(words: list[str], k: int, c: int) -> object:
    counts: dict[int, int] = {}
    for word in words[1:]:
        value = (int(word) + c) % k
        counts[value] = counts.get(value, 0) + 1
    return min(counts, key=lambda value: (-counts[value], value))


def sort_by_remainder(words: list[str], k: int, c: int) -> object:
    return " ".join(sorted(words[1:], key=lambda word: ((int(word) + c) % k, int(word))))


def pairs_with_sum(words: list[str], k: int, c: int) -> object:
    seen: dict[int, int] = {}
    pairs = 0
    for word in words[1:]:
        value = int(word)
        pairs += sum(seen.get(each, 0) for each in {k - value, c - value})
        seen[value] = seen.get(value, 0) + 1
    return pairs


def recurrence(words: list[str], a: int, b: int) -> object:
    first, second = 1, 1
    for _ in range(int(words[0])):
        first, second = second, (a * second + b * first) % 1000007
    return first


def subarrays_divisible(words: list[str], k: int, c: int) -> object:
    counts, total, pieces = {0: 1}, 0, 0
    for word in words[1:]:
        total = (total + int(word) + c) % k
        pieces += counts.get(total, 0)
        counts[total] = counts.get(total, 0) + 1
    return pieces


def bracket_depth(words: list[str], k: int, c: int) -> object:
    depth = deepest = 0
    for letter in words[0]:
        depth += 1 if letter == "(" else -1
        if depth < 0:
            return -1
        deepest = max(deepest, depth)
    return deepest * k + c if depth == 0 else -1


def climb(words: list[str], a: int, b: int) -> object:
    n = int(words[0])
    ways = [1] + [0] * n
    for i in range(1, n + 1):
        ways[i] = sum(ways[i - step] for step in (1, a, b) if i >= step) % 998244353
    return ways[n]


def fewest_coins(words: list[str], a: int, b: int) -> object:
    amount = int(words[0])
    best = [0] + [amount + 1] * amount
    for i in range(1, amount + 1):
        best[i] = min(best[i - coin] for coin in (1, a, b) if i >= coin) + 1
    return best[amount]


def spaced_sum(words: list[str], k: int, c: int) -> object:
    best = [0]
    for i, word in enumerate(words[1:]):
        best.append(max(best[-1], int(word) - c + best[max(0, i - k)]))
    return best[-1]


def increasing(words: list[str], k: int, c: int) -> object:
    numbers = list(map(int, words[1:]))
    best: list[int] = []
    for i, number in enumerate(numbers):
        steps = (best[j] for j in range(i) if k <= number - numbers[j] <= k + c)
        best.append(1 + max(steps, default=0))
    return max(best)


def grid_paths(words: list[str], a: int, b: int) -> object:
    height, width = int(words[0]), int(words[1])
    ways = [[0] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            if (a * y + b * x) % 7 == 3:
                continue
            above = ways[y - 1][x] if y else 0
            left = ways[y][x - 1] if x else 0
            ways[y][x] = 1 if x == y == 0 else (above + left) % 1000003
    return ways[-1][-1]


def survivors(words: list[str], k: int, c: int) -> object:
    people, at = list(range(1, int(words[0]) + 1)), 0
    while len(people) > c:
        at = (at + k - 1) % len(people)
        people.pop(at)
    return " ".join(map(str, people))


def knapsack(words: list[str], k: int, c: int) -> object:
    capacity, numbers = int(words[1]), list(map(int, words[2:]))
    best = [0] * (capacity + 1)
    for weight in numbers:
        value = weight * k % c + 1
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]


def reach(words: list[str], a: int, b: int) -> object:
    start, goal = int(words[0]), int(words[1])
    known, steps = {start}, 0
    level: list[int] = [start]
    while level and goal not in known:
        steps += 1
        level = [number for each in level for number in ((each + a) % 1009, each * b % 1009)]
        level = sorted(set(level) - known)
        known.update(level)
    return steps if goal in known else -1


def edit_cost(words: list[str], a: int, b: int) -> object:
    left, right = words[0], words[1]
    row = [a * i for i in range(len(right) + 1)]
    for i, letter in enumerate(left, start=1):
        last, row[0] = row[0], a * i
        for j, other in enumerate(right, start=1):
            change = last if letter == other else last + b
            last, row[j] = row[j], min(change, row[j] + a, row[j - 1] + a)
    return row[-1]
