"""Short things people say to machines and to each other, which books and de-duplicated text hardly contain.

    python -m rillet.models.lm.everyday > everyday.txt

Numbers, digit strings, times, dates, commands, courtesies: written from templates, the same lines every time. As one
more source with a small weight it makes "yes", "thank you" and "twenty three" likely enough to be dictated.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
COLOURS = ["red", "green", "blue", "yellow", "white", "orange", "purple", "pink"]
ROOMS = ["kitchen", "bedroom", "living room", "bathroom", "hall", "office", "garage", "garden"]
DEVICES = ["light", "lights", "lamp", "fan", "heating", "television", "radio", "music", "alarm", "door", "window"]
COURTESIES = """
yes|no|yes please|no thank you|no thanks|thank you|thank you very much|thanks|thanks a lot|please|okay|all right|sure
of course|never mind|you're welcome|excuse me|i'm sorry|sorry|hello|hi|hi there|hey|good morning|good afternoon
good evening|good night|goodbye|bye|see you later|see you tomorrow|see you soon|how are you|i'm fine|fine thank you
how are you doing|what's up|i don't know|i think so|i don't think so|maybe|exactly|that's right|that's it|got it|i see
wait a minute|hold on|just a moment|let me see|let me know|what do you mean|can you hear me|can you help me|help me
what time is it|what's the time|what day is it today|what is the weather like today|will it rain tomorrow|where are you
i'm on my way|call me back|talk to you later|i'll be there in five minutes|sounds good|no problem|good idea|not yet
""".replace("\n", "|")
COMMANDS = """
up|down|left|right|on|off|stop|go|start|pause|play|next|previous|back|forward|forwards|backward|backwards|faster|slower
louder|quieter|mute|repeat|cancel|undo|redo|delete|save|send|open|close|print|search|select all|copy|paste|cut|new line
new paragraph|full stop|comma|question mark|exclamation mark|open bracket|close bracket|scroll down|scroll up|go back
turn around|turn left|turn right|move forward|move back|stop recording|start recording|take a picture|take a note
follow|learn|visual|house|tree|bed|bird|cat|dog|wow|happy|marvin|sheila
volume up|volume down|turn it up|turn it down|turn it off|turn it on|next song|previous song|play some music
skip this song|what's on my calendar|read my messages|send a message|make a call|answer the phone|hang up
check my email|set a reminder
""".replace("\n", "|")


def number(n: int) -> str:
    """A whole number below a million in words, American style: 'one hundred twenty three'."""
    if n < 20:
        return (DIGITS + TEENS)[n]
    if n < 100:
        return f"{TENS[n // 10 - 2]} {DIGITS[n % 10] if n % 10 else ''}".strip()
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if n >= size:
            return f"{number(n // size)} {name} {number(n % size) if n % size else ''}".strip()
    raise AssertionError


def ordinal(n: int) -> str:
    """1 to 31 as the days of a month are said."""
    return ORDINALS[n - 1] if n <= 20 else "thirtieth" if n == 30 else f"{TENS[n // 10 - 2]} {ORDINALS[n % 10 - 1]}"


def lines() -> Iterator[str]:
    """All sentences, in a fixed order; short ones come many times."""
    pick = random.Random(0)
    for phrase in (*COURTESIES.split("|"), *COMMANDS.split("|")):
        if phrase:
            yield from [phrase] * 12
    for n in range(1000):
        yield number(n)
        if n >= 100 and n % 100:
            yield number(n).replace("hundred", "hundred and")
    for _ in range(1500):
        yield number(pick.randrange(1000, 1_000_000))
        yield " ".join(pick.choices(DIGITS, k=pick.randint(1, 10)))
        yield " ".join("oh" if digit == "zero" else digit for digit in pick.choices(DIGITS, k=pick.randint(3, 8)))
        yield f"nineteen {number(pick.randrange(20, 100))}"
        yield f"twenty {number(pick.randrange(10, 40))}"
        yield f"{number(pick.randrange(0, 100))} point {' '.join(pick.choices(DIGITS, k=pick.randint(1, 3)))}"
        yield f"{number(pick.randrange(1, 101))} percent"
        day, month = pick.randrange(1, 32), pick.choice(MONTHS)
        yield pick.choice(
            [f"{month} {ordinal(day)}", f"the {ordinal(day)} of {month}", f"{pick.choice(DAYS)} {month} {ordinal(day)}"]
        )
        hour = number(pick.randrange(1, 13))
        time = pick.choice(
            [
                f"{hour} o'clock",
                f"{hour} {number(pick.randrange(10, 60))}",
                f"half past {hour}",
                f"quarter to {hour}",
                f"quarter past {hour}",
                f"{hour} a m",
                f"{hour} p m",
                f"{hour} thirty",
            ]
        )
        yield pick.choice(
            [time, f"it is {time}", f"wake me up at {time}", f"set an alarm for {time}", f"let's meet at {time}"]
        )
        amount, unit = number(pick.randrange(2, 61)), pick.choice(["seconds", "minutes", "hours", "days"])
        yield pick.choice(
            [
                f"{amount} {unit}",
                f"set a timer for {amount} {unit}",
                f"remind me in {amount} {unit}",
                f"{amount} {unit} ago",
            ]
        )
        device, room, state = pick.choice(DEVICES), pick.choice(ROOMS), pick.choice(["on", "off"])
        yield pick.choice(
            [
                f"turn {state} the {device}",
                f"turn the {device} {state}",
                f"switch {state} the {device} in the {room}",
                f"turn {state} the {room} {device}",
                f"please turn {state} the {device}",
                f"open the {room} {device}",
            ]
        )
        yield pick.choice(
            [
                f"set the {device} to {number(pick.randrange(1, 101))} percent",
                f"make the {room} {pick.choice(COLOURS)}",
                f"make the {device} {pick.choice(COLOURS)}",
                f"set the temperature to {number(pick.randrange(14, 30))} degrees",
            ]
        )
        yield f"{number(pick.randrange(1, 100))} dollars" + pick.choice(
            ["", f" and {number(pick.randrange(1, 100))} cents"]
        )


if __name__ == "__main__":
    print("\n".join(lines()))
