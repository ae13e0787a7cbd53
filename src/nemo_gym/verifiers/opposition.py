r"""Checks whether the text around an answer opposes it: `It isn't \boxed{A}`; `Answer: A. That is wrong`.

A text has the marks `SELF` and `OTHER` in place of what names the answer or a rival of it. Its other words
are framing (`the answer is`), against the answer (`not`, `wrong`), in doubt (`maybe`), or content, which is
all the rest. Only a clause without content speaks about the answer as such: `that is wrong` takes it back,
`the metal that is not soft` describes it, and `OTHER is wrong` is about a rival.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nemo_gym.verifiers.denials import (
    DENIAL_PHRASE,
    DENIAL_STEMS,
    DENIAL_WORDS,
    NEGATION_PHRASE,
    NEGATION_WORDS,
    OTHER,
    SELF,
    readable,
    takes_back,
    word_set,
)

Mark = Callable[[str], str]
"""Puts the marks into a piece of text."""


def is_opposed(text: str, start: int, end: int, mark: Mark, *, is_open: bool = False) -> bool:
    """Whether the words before or after an answer deny, doubt or replace it.

    Only its own sentence and later ones count: at most 1,000 characters before it and 8,000 after it.

    Args:
        text: the whole response, with the answer from `start` to `end`.
        mark: puts `SELF` and `OTHER` in place of what names the answer, or a rival of it.
        is_open: any text can be an answer, so `mark` does not know the rivals.
    """
    if is_opposed_before(text, start, mark):
        return True
    after = _ending(text, end)
    if not after.strip(_MARKUP):
        return False
    stop = SENTENCE.search(after)
    rest, later = (after[: stop.start()], after[stop.end() :]) if stop else (after, "")
    if rest and opposes_after(mark(rest), is_alone=not _lead(text, start).strip(_MARKUP)):
        return True
    is_question = stop is not None and stop.group() in _QUESTIONS
    return opposes_later(later, mark, is_question=is_question, is_open=is_open)


def is_opposed_before(text: str, start: int, mark: Mark) -> bool:
    """Whether the words of its sentence before an answer, or before its label, deny or doubt it."""
    return _BANG.search(text, max(0, start - 2), start) is not None or _opposes_lead(_lead(text, start), mark)


def opposes_before(lead: str) -> bool:
    """Whether the words of one sentence up to an answer deny or doubt it, or name a rival beside it."""
    clauses = _clauses(lead)
    if _is_rival_beside(clauses):
        return True
    for place, clause in enumerate(reversed(clauses)):
        against = [at for at, kind in enumerate(clause.kinds) if kind in ("against", "doubt")]
        if against:
            last = against[-1]
            if not {"frame", SELF}.issuperset(clause.kinds[last + 1 :]) or clause.describes(last):
                return False
            if place:
                return clause.is_about_the_answer and not _INTERJECTIONS.issuperset(clause.words)
            return OTHER not in clause.kinds or clause.words[-1] not in DENIAL_WORDS
        if not clause.is_about_the_answer or not clause.is_open:
            return False
    return False


def opposes_after(rest: str, *, is_alone: bool = False) -> bool:
    """Whether the words of one sentence after an answer deny or doubt it, or name a rival beside it.

    Args:
        is_alone: no words come before the answer, so `is not a metal` denies it.
    """
    clauses = [clause for clause in _clauses(rest) if clause.words]
    if not clauses:
        return False
    words, kinds = clauses[0].words, clauses[0].kinds
    if words[0] in _ADDING and (
        OTHER in kinds or (words[0] == "or" and words[1:2] and words[1] not in _SAME)
    ):
        return True
    if words[0] in _UNITING and not _ALL.isdisjoint(words) and "against" not in kinds:
        return True
    if is_alone and words[0] in _COPULAS and kinds[1:2] == ["against"]:
        return True
    return takes_back(rest.casefold()) or _opposition(clauses, SELF)[0]


def opposes_later(text: str, mark: Mark, *, is_question: bool = False, is_open: bool = False) -> bool:
    """Whether sentences after that of the answer take it back, or give another one.

    Args:
        is_question: the answer was put as a question, which has to be affirmed.
        is_open: any text can be an answer: `Actually, Rome.` gives another one.
    """
    needs_answer = is_question
    subject = SELF
    text = f"\n{text}"
    recap = len({line[1] for line in _LIST_LINE.finditer(text)}) > 1
    for sentence, ending in _sentences(text):
        if not sentence.strip(_MARKUP):
            subject = SELF if ending == "\n" and not sentence.strip() else subject
            continue
        marked = mark(sentence[:_MAX_SENTENCE])
        if not is_open and ending not in _QUESTIONS and _is_inert(marked):
            needs_answer = False
            continue
        if takes_back(readable(marked).casefold()):
            return True
        if is_open and ending not in _QUESTIONS and _replaces(marked):
            return True
        clauses = _clauses(marked)
        kinds = {kind for clause in clauses for kind in clause.kinds}
        if ending in _QUESTIONS:
            needs_answer = "content" not in kinds and (OTHER not in kinds or "against" not in kinds)
            subject = OTHER if kinds & {OTHER, "content"} else SELF
            continue
        is_list = recap and _LIST_LINE.match(sentence.lstrip("\n")) is not None
        opposition, subject = _opposition(clauses, subject, is_list=is_list)
        if opposition:
            return True
        needs_answer = False
    return needs_answer


_MAX_LEAD = 1_000
_MAX_AFTER = 4_000
_MAX_SENTENCE = 1_000
_MAX_REPLACEMENT = 4
_MARKUP = " \t\r\n$*_`#>|.,:;!。、！，：；()[]{}\\\"'“”-"
_OPENING = " \t\r\n$*_`>#\\({[|~"
_QUESTIONS = frozenset("?？؟")
SENTENCE = re.compile(r"[?？؟](?!\w)|(?<!\n\w)(?<!\n[-*] \w)(?<!\*\*\w)[.!…](?=[\s\"'”)*_$\]}]|$)|[。！]|\n")
"""The end of a sentence. `A.` at the beginning of a line is a label, not an end."""
_BACKWARD_STOP = re.compile(r"(?<![^\s\"'”)*_$\]}])[.!?…]|[。！？؟]|\n")
_LINKS = (
    *(":", ",", "n't", "n’t"),
    *(" is", " are", " be", " was", " not", " or", " and", " either", " nor", " than"),
    *("\nis", "\nare", "\nbe", "\nwas", "\nnot", "\nor", "\nand", "\neither", "\nnor", "\nthan"),
)
"""A line that ends with one of these continues in the next line."""
_LONGEST_LINK = 7
_SIGNS = frozenset("~!<\\&/")
_SYMBOL_PARTS = frozenset("\\\\~!<=-")
_WORD = re.compile(r"[a-z]+")
_LIST_LINE = re.compile(r"^[\s|>*_•-]{0,8}\(?([A-Za-z])[*_]{0,2}(?:[).:]|\s?\|)", re.MULTILINE)
_ROUGH_TOKEN = re.compile(r"[a-z0-9]+|[^\s$*_`{}\[\]().]")

_SYMBOL = re.compile(
    r"\\(?:neg|lnot|not|neq|ne|[xb]?cancel|sout|st|overline|bar|sim)(?![a-z])|[≠¬✗✘✖❌❎🚫⛔👎]|~~|!="
    r"|</?(?:s|del|strike)>|不是|並非|并非|不对|不對|不正确|错误|錯誤|错|錯|ではない|ではありません|じゃない|아니"
)
_BANG = re.compile(r"(?<![\w!])!\Z")
_ARROW = re.compile(r"\\(?:[Rr]ightarrow|implies|therefore|to)(?![a-z])|[→⇒∴]|[=-]>")
_COMMAND = re.compile(r"\\[a-z]+")
_SHORT_NOT = re.compile(r"n['’]t\b|(?<=\bis)nt\b|(?<=\b(?:wo|do|ca))nt\b|(?<=\bwas)nt\b|(?<=\bdoes)nt\b")
_SLASH = re.compile(r"(?<=[\0\1])\s?/|/\s?(?=[\0\1])|\A\s?/|/\s?\Z")
_CERTAIN = re.compile(
    r"\b(?:(?:not?|nt|without|never|can not|none|nothing|beyond) (?:\w+ ){0,3}?"
    r"(?:doubts?|doubted|den(?:y|ied|ying)|(?:other|else|anything|anyone) (?:\w+ )?(?:than|but|except)"
    r"|wrong|incorrect|false|guess(?:ing)?)"
    r"|(?:only|best) possible|let me know .*"
    r"|nothing (?:else )?but|not only|(?:by|of|after) elimination|most likely|either way|no matter)\b"
)
_AGAINST = re.compile(
    rf"\b(?:{DENIAL_PHRASE}|{NEGATION_PHRASE}|(?:under|by|in) no \w+|on no account"
    r"|(?:all|any\w*|every\w*) (?:\w+ ){0,2}(?:but|save|except)|opposite of)\b"
)
_DOUBT = re.compile(
    r"(?:\A|\b(?:it|this|that|answer|option|choice|one) |\0 )"
    r"(?:could|might|may) (?!only)(?:\w+ ){0,2}?(?:be|work)\b"
    r"|\b(?:to some extent|more or less|(?:kind|sort) of|partly|partially|(?:one|any|some|each) of"
    r"|(?<!of )(?<!from )(?:all|any|every|each) (?:the )?(?:options?|answers?|choices?|of them)"
    r"|is one (?:option|answer|choice|possibility)"
    r"|(?:hard|difficult|tough) to (?:say|tell)|coin)\b"
)
_SUBJECT = re.compile(
    r"\b(?=(?:it|this) (?:s|is|must|has)\b|the (?:\w+ ){0,2}(?:answer|option|choice) (?:is|must|has)\b"
    r"|(?:i|we) (?:choose|pick|say|go|select)\b)"
)
_TOKEN = re.compile(r"[\0\1\2,;:()–—]|(?<= )-(?= )|[^\W_]+")
_BREAKS = frozenset(",;:()–—-")
_MASKED = re.compile(
    "[a-z][\u0370-\u052f\u13a0-\u13ff]|[\u0370-\u052f\u13a0-\u13ff][a-z]|[\u0250-\u02af\u1d00-\u1dbf]"
)
_REPLACEMENT = re.compile(
    r"(?:(?:wait|hold on|oh|hmm|well|sorry|but|okay|ok)\W+){0,3}"
    r"(?:(?:no|nope|nah|wait|hold on|actually|rather|or|correction|i mean|sorry|better|make (?:that|it)|maybe"
    r"|perhaps|possibly|probably|alternatively|(?:it )?(?:could|might|may)(?: \w+){0,2} be"
    r"|it(?:['’]s| is) (?:actually|rather|really))\b\W*(?:(?:it|that|this)(?:['’]s| is| must be)\b\W*)?"
    r"|(?:wait|hold on|oh|hmm|sorry)\W+(?:it|that|this)(?:['’]s| is)\W+"
    r"|(?:the|my)(?: \w+){0,2} answer(?: is|:) ?)(?P<value>[^\0\1]{1,40})"
)


_CONCLUSIONS = word_set("so therefore thus hence consequently then but leaving leaves while whereas")
_REASONS = word_set("because since as for given due")
_AGAINST_WORDS = word_set(
    """
    except excepting excluding against psych sike than opposite lied worse
    nicht kein keine pas ne niet geen não nao nie inte ikke не нет
    falsch falso falsa faux fausse incorrecto incorrecta неверно неправильно
    """
)
_OPPOSING_WORDS = _AGAINST_WORDS | NEGATION_WORDS | DENIAL_WORDS
_DOUBT_WORDS = word_set(
    """
    maybe perhaps possible possibly probably presumably supposedly allegedly apparently seemingly likely
    either or guess guessed guessing guesses unsure uncertain unclear dunno if whether unless
    random randomly arbitrary arbitrarily alternatively vielleicht quizás quizá forse talvez
    """
)
_TRIGGERS = (
    _OPPOSING_WORDS
    | _DOUBT_WORDS
    | word_set(
        """
        t nt isnt over under who withdraw wont dont cant wasnt doesnt out herring least other rather
        different instead opposed apart aside far away all any anything anyone every everything everyone
        could might may one some each hard difficult tough coin extent more kind sort partly partially
        scratch strike forget ignore disregard second thought thoughts made make making pretending
        reverse contrary holds correction mind back nay psych sike
        """
    )
)
_HARMLESS = word_set(
    """
    the my final correct right best answer option choice letter solution is s it this that which i we so
    thus therefore hence here finally overall in be must believe think choose pick select : ,
    """
)
"""Words that may come before an answer in any order: a fast path for plain answers."""
_FRAMING = _HARMLESS | word_set(
    """
    a an and our your their true better most answers options response one are was were been being am has
    have had do does did done will would should could can ca wo may might shall its what who there you
    he she they me us them to of with on at all by way case then clearly definitely surely certainly
    really actually truly quite very just still now again also too well oh ok okay yes hmm wait sorry
    though although however but yet even ever honestly frankly indeed exactly simply thought know knew
    say said saying mean meant feel chose chosen picked selected go going take make give want wanted
    call sure certain confident idea boxed fbox agree agreed accept stand stands support only following
    below above ai lol haha pure mere wild total rather good equally works work fits fit plausible as
    for because since namely ie thing anything 100 acceptable ll re ve real made let switch switching
    change replace edit update
    es la el respuesta ist die das antwort est ce réponse è resposta risposta это ответ
    是 的 答案 答案是 正解は です
    """
)
_RELATIVE = word_set("that which who to")
_COPULAS = word_set("is was are were can ca could should would must wo will")
_VERBS = word_set("is s are was be must has choose pick select say go")
_NO_CLAIM = word_set("because since due given if unless whether")
_UNITING = word_set("and all both")
_ALL = word_set("all both rest others everything etc")
_ADDING = word_set("or if unless")
_SAME = word_set("equivalently simply in as just more " + SELF)
_INTERJECTIONS = word_set("no nope nah wait oh hmm well ok sorry actually")
_LABELS = word_set("answer answers option options choice")
_NO_LABEL = _COPULAS | _INTERJECTIONS
_JOINERS = word_set("and or nor option options the")


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of one clause with their kinds, and its joint to the clause before."""

    joint: str
    r"""One of `_BREAKS`, `so` for a conclusion, `because` for a reason, `\2` for a new subject."""
    words: list[str]
    kinds: list[str]

    @property
    def is_about_the_answer(self) -> bool:
        return "content" not in self.kinds and OTHER not in self.kinds

    @property
    def is_open(self) -> bool:
        """Whether this continues the clause before: `it is false that` `the answer is`, after `I think`."""
        if self.joint == "\2" or self.words[:1] == ["as"]:
            return True
        return (self.joint in _BREAKS or self.joint == "because") and _VERBS.isdisjoint(self.words)

    @property
    def is_bare(self) -> bool:
        return bool(self.words) and all(
            word in (SELF, OTHER) or word in _JOINERS or word in _REASONS for word in self.words
        )

    def describes(self, place: int) -> bool:
        """Whether the word at a place belongs to a noun: `the statement that is not true is`."""
        pronouns = [at for at in range(place) if self.words[at] in _RELATIVE]
        return (
            bool(pronouns)
            and "content" in self.kinds[: pronouns[-1]]
            and not _COPULAS.isdisjoint(self.words[place + 1 :])
        )

    def followed_by(self, other: "_Clause") -> "_Clause":
        return _Clause(self.joint, self.words + other.words, self.kinds + other.kinds)


def _opposes_lead(lead: str, mark: Mark) -> bool:
    if not lead or (lead.isascii() and _HARMLESS.issuperset(_ROUGH_TOKEN.findall(lead.lower()))):
        return False
    marked = mark(lead)
    return not _is_inert(marked) and opposes_before(marked)


def _is_inert(marked: str) -> bool:
    """Whether a sentence names no option, and has no word or sign that could oppose an answer."""
    if not marked.isascii() or SELF in marked or OTHER in marked or not _SIGNS.isdisjoint(marked):
        return False
    return _is_quiet(marked.lower())


def _is_quiet(text: str) -> bool:
    """Whether a text in lower case has no word against an answer, and none that begins such a phrase."""
    words = _WORD.findall(text)
    return _TRIGGERS.isdisjoint(words) and not any(word.startswith(DENIAL_STEMS) for word in words)


def _lead(text: str, start: int) -> str:
    """The words before an answer in its sentence. A line that ends with `is` or `:` continues in the next."""
    head = text[max(0, start - _MAX_LEAD) : start]
    body = head.rstrip(_OPENING)
    line = head.rfind("\n") + 1
    if line > len(body) and not body[-_LONGEST_LINK:].lower().endswith(_LINKS):
        return head[line:]
    stop = _BACKWARD_STOP.search(body[::-1])
    return head[len(body) - stop.start() if stop else 0 :]


def _ending(text: str, end: int) -> str:
    if len(text) - end <= 2 * _MAX_AFTER:
        return text[end:]
    return f"{text[end : end + _MAX_AFTER]}\n\n{text[-_MAX_AFTER:]}"


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    """Each sentence with the mark that ends it."""
    start = 0
    for stop in SENTENCE.finditer(text):
        yield text[start : stop.start()], stop.group()
        start = stop.end()
    yield text[start:], ""


def _clauses(text: str) -> list[_Clause]:
    """The clauses of a sentence, at least one."""
    clauses: list[_Clause] = []
    joint, words = "", list[str]()
    for token in _TOKEN.findall(_plain(text)):
        if token == "\2" and not words:
            continue
        if token in _BREAKS or token == "\2":
            following, opening = token, list[str]()
        elif token in _CONCLUSIONS:
            following, opening = "so", list[str]()
        elif token in _REASONS:
            following, opening = "because", [token]
        else:
            words.append(token)
            continue
        clauses.append(_clause(joint, words))
        joint, words = following, opening
    clauses.append(_clause(joint, words))
    return _with_lists(clauses)


def _clause(joint: str, words: list[str]) -> _Clause:
    return _Clause(joint, words, [_kind(word) for word in words])


def _with_lists(clauses: Sequence[_Clause]) -> list[_Clause]:
    """The clauses, with lists such as `B, C and D are wrong` and labels such as `wrong answer: B` in one."""
    whole = [clauses[0]]
    for clause in clauses[1:]:
        last = whole[-1]
        is_list = clause.joint == "," and (last.is_bare or (clause.is_bare and OTHER in last.kinds))
        is_label = (
            clause.joint == ":"
            and last.is_about_the_answer
            and _NO_LABEL.isdisjoint(last.words)
            and (OTHER in clause.kinds or ("content" in clause.kinds and not _LABELS.isdisjoint(last.words)))
        )
        if clause.words and last.words and (is_list or is_label):
            whole[-1] = last.followed_by(clause)
        else:
            whole.append(clause)
    return whole


def _plain(text: str) -> str:
    """The text in lower case, with one word in place of each symbol and phrase that this module knows."""
    text = readable(text).casefold()
    if not text.isascii() or not _SYMBOL_PARTS.isdisjoint(text):
        text = _COMMAND.sub(" ", _SYMBOL.sub(" not ", _ARROW.sub(" so ", text)))
    if "n" in text:
        text = _SHORT_NOT.sub(" not", text).replace("cannot", "can not")
    text = _SLASH.sub(" or ", text.replace("&", " and "))
    text = " ".join(text.replace("'", " ").replace("’", " ").split())
    text = text.replace("as well as", "and")
    if not _is_quiet(text):
        text = _AGAINST.sub(" not ", _CERTAIN.sub(" surely ", text))
        text = _DOUBT.sub(" maybe ", text)
    return _SUBJECT.sub("\2", text)


def _kind(word: str) -> str:
    if word in (SELF, OTHER):
        return word
    if word in _FRAMING:
        return "frame"
    if word in _DOUBT_WORDS:
        return "doubt"
    if word in _OPPOSING_WORDS or word.startswith(DENIAL_STEMS) or _is_masked(word):
        return "against"
    return "frame" if len(word) == 1 and word.isascii() and word.isalpha() else "content"


def _is_masked(word: str) -> bool:
    """Whether a word mixes alphabets or has phonetic letters, which can hide another word."""
    return not word.isascii() and _MASKED.search(word) is not None


def _is_rival_beside(clauses: Sequence[_Clause]) -> bool:
    """Whether a sentence up to an answer ends with `OTHER or`, or with `OTHER,` alone."""
    last = clauses[-1]
    if len(clauses) == 1 and last.is_bare and OTHER in last.kinds:
        return True
    if last.words and last.words[-1] in _JOINERS:
        return last.words[-2:-1] == [OTHER]
    if last.words[-1:] == ["over"]:
        return OTHER in last.words
    if last.words or last.joint not in (",", ";") or len(clauses) < 2:
        return False
    before = clauses[-2]
    return before.words[-1:] == [OTHER] and not {"against", "content"}.intersection(before.kinds)


def _opposition(clauses: Sequence[_Clause], subject: str, *, is_list: bool = False) -> tuple[bool, str]:
    """Whether a clause is against the answer, and the meaning of a pronoun after it: `SELF` or `OTHER`."""
    topic = subject
    for clause, following in zip(clauses, [*clauses[1:], None], strict=True):
        kinds = set(clause.kinds)
        if following is not None and _is_opening(clause, following):
            continue
        if OTHER in kinds:
            if not kinds & {"against", "content"} and clause.words[0] not in _NO_CLAIM and not is_list:
                return True, subject
            subject = topic = OTHER
        elif SELF in kinds:
            subject = topic = SELF
        elif "content" in kinds:
            topic = OTHER
        if kinds.isdisjoint({OTHER, "content"}) and topic == SELF and kinds & {"against", "doubt"}:
            return True, subject
    return False, subject


def _is_opening(clause: _Clause, following: _Clause) -> bool:
    """Whether a clause only opens the next one: `if in doubt, ask`; `no, B is wrong`."""
    if clause.words[:1] == ["if"]:
        return True
    return _INTERJECTIONS.issuperset(clause.words) and {OTHER, "against"}.issubset(following.kinds)


def _replaces(sentence: str) -> bool:
    """Whether a sentence gives another answer: `Actually, Rome`; `The answer is Rome`."""
    match = _REPLACEMENT.fullmatch(sentence.casefold().strip(_MARKUP))
    return match is not None and len(match["value"].split()) <= _MAX_REPLACEMENT
