"""Whether an English word can be a verb, by a list of common verbs and their regular endings."""

from __future__ import annotations

from functools import lru_cache

from nemo_gym.verifiers.instructions.units import listed


@lru_cache(maxsize=1024)
def is_verb(word: str) -> bool:
    """Whether a word is a common verb, in its base form or with a regular or common irregular ending."""
    word = word.lower()
    if word in _VERBS or word in _FORMS:
        return True
    for ending, replacements in _ENDINGS:
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            if any(stem + replacement in _VERBS for replacement in replacements):
                return True
            if ending in ("ing", "ed") and stem[-1:] == stem[-2:-1] and stem[:-1] in _VERBS:
                return True
    return False


_ENDINGS = (
    ("ies", ("y",)),
    ("ied", ("y",)),
    ("es", ("", "e")),
    ("s", ("",)),
    ("ing", ("", "e")),
    ("ed", ("", "e")),
)
_FORMS = frozenset(
    listed(
        """
    am is are was were been being has had does did done goes went gone made took taken gave given got
    said
    """
    )
)
_VERBS = frozenset(
    listed(
        """
    accept achieve act adapt add adjust admire admit adopt advance advise aim allow amaze analyze
    announce answer appear apply appreciate approach arrange arrive ask assemble assess assign assist
    assume attach attack attend avoid bake balance be become begin believe bind blend boil boost borrow
    break breathe bring broaden build buy calculate call capture care carry cast catch celebrate change
    check choose chop claim clarify classify clean clear climb close collect combine come communicate
    compare compile complete compose compute conduct confirm connect consider construct consult contact
    contain continue contribute control convert convince cook copy correct count cover craft create
    cross cultivate cut dance dare deal debate decide declare decrease deepen define delete deliver
    demonstrate deny describe deserve design destroy determine develop devote dig discover discuss
    display dive divide do double doubt draft drag draw dream drink drive drop eat edit educate
    eliminate embark embrace emerge emphasize employ empower enable encourage end engage enhance enjoy
    ensure enter envision escape establish estimate evaluate examine exist expand expect experience
    experiment explain explore express extend face fail fall feel fetch fight fill find finish fit fix
    flip fly focus fold follow forget forgive form foster gain gather generate get give glance go grab
    grasp grow guard guess guide handle hang happen harness hear heat help hide highlight hire hit hold
    hope identify ignore illustrate imagine implement improve include increase indicate inform initiate
    insert inspect inspire install integrate introduce invent invest investigate invite involve isolate
    join journey judge jump keep kick know label land laugh launch lead lean leap learn leave lend let
    leverage lift limit link list listen live load locate look lose love maintain make manage map mark
    match maximize mean measure meet mention minimize mix modify monitor motivate move multiply navigate
    need note notice nurture observe obtain offer open operate optimize order organize outline overcome
    pack paint participate pass pause pay perform pick place plan plant play polish ponder pour practice
    predict prefer prepare present preserve press prevent print prioritize proceed process produce
    promote protect prove provide pull purchase pursue push put question raise ramble reach react read
    realize receive recognize recommend reconsider record reduce refer refine reflect refuse reimagine
    rejoice relax release rely remain remember remind remove rename repair repeat replace reply report
    represent request require research resolve respect respond rest return reveal review revise rewrite
    ride rise roll run save say scan search season see seek seem select sell send separate serve set
    shake share shift shine shop show sift simmer simplify sing sit sketch skip sleep slice smile solve
    sort speak specify spend spread sprinkle stand start state stay step stir stop store strengthen
    stretch strive study submit succeed suggest summarize support suppose switch take talk teach tell
    test thank think throw touch trace track train transform translate travel treat try turn type
    understand undertake unleash unlock unveil update use utilize validate value verify view visit
    visualize wait wake walk want warm wash watch wear welcome whisk win wish wonder work worry wrap
    write yield
    """
    )
)
