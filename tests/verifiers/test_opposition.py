"""What the words around an answer make of it, seen through the grader of multiple-choice answers."""

import pytest

from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.verifiers.denials import OTHER, SELF
from nemo_gym.verifiers.opposition import is_opposed, opposes_after, opposes_before

OPTIONS = {"A": "iron", "B": "helium", "C": "neon", "D": "oxygen"}
BOXED: GradingMode = "strict_single_letter_boxed"
LENIENT: GradingMode = "lenient_boxed"
COLON: GradingMode = "lenient_answer_colon"
MARKDOWN: GradingMode = "lenient_answer_colon_md"


def lines(table: str) -> list[str]:
    """The texts between `¦`; `⏎` is a line break in one, and `@` the answer."""
    return [text.strip().replace("⏎", "\n") for text in table.replace("\n", " ").split("¦")]


AROUND_AN_ANSWER = lines(
    r"""
@ ¦ $@$ ¦ $$@$$ ¦ \[@\] ¦ **@** ¦ The answer is @. ¦ B is not wrong. @ ¦
A is not right, since iron is heavy. So the answer is @. ¦ It can't be A; therefore @ ¦
It is not A, so it's @ ¦ It is not A, it is @. ¦ Not A but @. ¦ The answer is not A, but rather @. ¦
Not C. @ ¦ A, C and D are wrong, leaving @. ¦ All other options are incorrect: @ ¦
All the others can be ruled out, so @. ¦ By elimination, the answer is @. ¦ By elimination: @ ¦
Having eliminated A, C and D, I choose @. ¦ Since none of the others float, the answer is @. ¦
There is no doubt that it is @. ¦ Without a doubt @ ¦ It can be none other than @. ¦
It cannot be anything but @. ¦ It must be nothing other than @ ¦ The gas that does not react is @. ¦
The option that is not a metal is @. ¦ The element which never burns is @. ¦ The false statement is @. ¦
The incorrect statement is @ ¦ The statement that is not true of metals is @. ¦ Wait, no, it's @. ¦
No, @. ¦ Hmm, maybe A? No. The answer is @. ¦ Maybe A, maybe C... but checking again, it is @. ¦
I first guessed A, but the answer is @. ¦ I was not sure at first. Now I am: @ ¦
If it were A, it would sink; it floats, so @. ¦ Could it be A? It could not. @ ¦
- A: incorrect⏎- C: incorrect⏎- D: incorrect⏎⏎@ ¦ A: Incorrect⏎B: Correct⏎C: Incorrect⏎D: Incorrect⏎@ ¦
A) wrong ❌⏎B) right ✅⏎C) wrong ❌⏎⏎@ ¦ | A | no |⏎| B | yes |⏎| C | no |⏎⏎@ ¦ The answer is:⏎⏎@ ¦
The answer is:⏎⏎$$@$$ ¦ **Final Answer**⏎⏎@ ¦ ## Answer⏎@ ¦ Answer: @ ¦ Final Answer: $@$ ¦
@ because the others are metals ¦ @, because iron is wrong. ¦ @, since the others are incorrect. ¦
@, not A. ¦ @ and not C. ¦ @ rather than A. ¦ @, the gas that does not burn. ¦
@ is the only one that is not a metal. ¦ @. The others are wrong. ¦ @. A is wrong. ¦
@. A is not a gas, and C and D are heavier. ¦ @. No other option fits. ¦
@. None of the others is right. ¦ @. It cannot be anything else. ¦ @. There is no doubt. ¦
@. No doubt about it. ¦ @ (helium) ¦ @ helium ¦ @: helium ¦ $@$ is correct. ¦ @ is the answer. ¦
@ it is! ¦ @ ✅ ¦ ✅ @ ¦ 👉 @ ¦ → @ ¦ @ 🎉 ¦
First \boxed{A}. That was wrong: I mixed up the two. The answer is @. ¦ \boxed{A} is wrong, so @. ¦
Not \boxed{A} but @. ¦ I thought \boxed{A}.⏎⏎Rechecking.⏎⏎@ ¦ La respuesta es @. ¦ Die Antwort ist @. ¦
答案是@。 ¦ 答案：@ ¦ Réponse : @ ¦ الجواب هو @ ¦ 正解は@です。 ¦ ¡@! ¦ Nicht A, sondern @. ¦ \boxed{@} ¦
The most likely answer is @. ¦ I think the answer is @. ¦ I believe it's @ ¦ I'm confident it's @ ¦
I'm sure: @ ¦ My final answer: @ ¦ Thus @ is the correct choice. ¦ Hence, option @. ¦
Only @ is correct. ¦ I choose @. ¦ We pick @ ¦ It has to be @. ¦
The correct option is therefore @ (helium). ¦
Step 1: A is not a gas.⏎Step 2: B is.⏎Step 3: C and D are not light.⏎⏎**Therefore** $@$ ¦
Is it A? No. Is it B? Yes. @ ¦ The wrong ones are A, C and D; the right one is @. ¦
A is false, C is false, D is false, hence @ is true. ¦ While A isn't bad, the best answer is @. ¦
Although A may seem right, it is @. ¦ Contrary to what one may think, the answer is @. ¦
It's not obvious, but the answer is @. ¦ I don't think it's A. I think it's @. ¦
Neither A nor C is light enough, so it is @. ¦ Except for hydrogen, the lightest is @. ¦
Unlike iron, it is a gas: @ ¦ Without electrons to share, it must be @. ¦
The answer that makes no sense for metals is @. ¦ None of the metals fit, and the answer is @. ¦
A or C would burn. So @. ¦ Between A and B, I pick @. ¦ Comparing A, B, C and D, only @ works. ¦
Out of A, B, C and D the answer is @. ¦ Therefore, the least dense element is @. ¦ The exception is @. ¦
The odd one out is @. ¦ The least reactive element is @. ¦ The one that fails to react is @. ¦
The unlikely hero: @ ¦ @ is the least reactive. ¦ @: it does not react. ¦
@. Iron does not float. That is why A is wrong. ¦
A is incorrect: iron is solid. C is incorrect, D is incorrect. @ ¦ (A) no; (C) no; (D) no; so @ ¦
A ✗ B ✓ C ✗ D ✗ → @ ¦ I can't see any reason to choose A, C, or D. @ ¦
We cannot have A. We cannot have C or D. Thus @. ¦
If the question asks for the lightest noble gas, then @. ¦
If A were true, iron would float. Contradiction. So @ ¦
The contradiction rules out A, C, and D, so we are left with @ ¦
Not only is it light, it is also inert: @ ¦ None of the other options works. @ ¦
Nothing else makes sense; @ ¦ There's no other possibility than @ ¦
It's clearly not a metal. @ is the only gas that lifts. ¦ The answer can only be @ ¦ It could only be @ ¦
This might look hard, but the answer is @ ¦ Perhaps surprisingly, the answer is @ ¦
Although it may seem odd, @ is correct. ¦ One might think A, but @. ¦
You may be tempted by A or C, but the answer is @ ¦ Some would say A; the right answer is @ ¦
Without loss of generality, @ ¦ To avoid confusion: @ ¦ To answer the question: which is not a metal? @ ¦
Q: Which is not a metal?⏎A: @ ¦ Question: Which one is wrong?⏎⏎@ ¦
Final answer (no explanation needed): @ ¦ My answer, without any doubt: @ ¦
No further analysis required - @ ¦ I was wrong before. It is @ ¦
My earlier answer was wrong, it should be @ ¦ Correction: the answer is @ ¦
Sorry, I made a mistake above. The correct answer is @ ¦ Wait, that's wrong. Let me redo: @ ¦
Scratch that. @ ¦ Ignore the above; the answer is @ ¦ @. This is because helium is not reactive. ¦
@ - helium doesn't react. ¦ @ – the noble gas that isn't heavier than air. ¦ @ (not A, C or D) ¦
@ (helium, not neon) ¦ @ as the others aren't light ¦ @, unlike iron, floats. ¦
@. Unlike iron, helium floats. ¦ @ is the correct answer, while A, C and D are not. ¦
@ is correct; A, C and D are incorrect. ¦ @ is right and the rest are wrong. ¦ @ and nothing else. ¦
@, no other. ¦ @, without doubt. ¦ @, no question. ¦ @, I have no doubt. ¦ @ - no need to look further. ¦
<answer>@</answer> ¦ > @ ¦ 1. @ ¦ - @ ¦ | Answer | @ | ¦ `@` ¦ ```⏎@⏎``` ¦
\begin{align} x &= 4 \\ &\Rightarrow @\end{align} ¦ $\therefore @$ ¦ $\Rightarrow @$ ¦
\text{The answer is }@ ¦ \textbf{Answer: }@ ¦ $\text{Answer: }@$ ¦ \[ @ \] ¦ \(@\) ¦ Answer :@ ¦
Option→@ ¦ 因此，答案是@。 ¦ A不对，C不对，D不对，所以选@ ¦ 不是A，而是@ ¦ 所以不是A、C、D，答案为@ ¦
Donc la réponse n'est pas A mais @ ¦ Ce n'est pas A. La bonne réponse est @. ¦
Nicht A, C oder D, also @ ¦ A ist falsch. Richtig ist @. ¦ No es A, así que @ ¦
La respuesta correcta no es A sino @ ¦ Ответ: @ ¦ Это не A, а @ ¦ إذن الإجابة هي @ ¦
したがって、Aではなく@ ¦ 答えは@です。Aではない。 ¦ 정답은 @입니다. A가 아니다. ¦
I don't think A is right. I don't think C is right. I think it's @ ¦
I am not sure about A, but B fits perfectly: @ ¦ At first I was unsure. After checking, @. ¦
It's either A or B. A is a metal, so @ ¦ It is A or B; since A sinks, @ ¦ Both A and C fail, so @ ¦
A and C are out; D is out; @ remains. ¦ We eliminate A, C, and D. @ ¦ Eliminating A, C and D leaves @ ¦
After eliminating the wrong options, @ ¦ Rejecting A, C, D: @ ¦ Excluding the metals, we get @ ¦
All except B are wrong. @ ¦ Only B isn't wrong: @ ¦ Which is false? The false one... I'd go with @ ¦
So the statement which is NOT true is @. ¦ Hence the incorrect statement is option @. ¦
So the one that doesn't belong is @. ¦ The exception here is @ ¦
Therefore the process that cannot occur is @ ¦ the least likely event is @ ¦ The drug to avoid is @. ¦
The contraindicated drug is @. ¦ the false claim is @ ¦ The statement that is incorrect is @ ¦
The patient can't have A or C. While D is possible, it's unlikely. The most likely diagnosis is @. ¦
Which of the following is NOT a metal? Iron is a metal. Helium is not. So the answer is @ ¦
Statement A is true. Statement B is false. Statement C is true. Since we look for the false statement, @ ¦
We are asked for the incorrect one. B is incorrect, hence @ ¦
B is the incorrect statement, so we choose @ ¦ All are true except B. @ ¦
Everything except B is a non-gas or reactive. @ ¦
It's B.⏎⏎@⏎⏎Let me verify: A is a metal (no), C is heavier (no), D reacts (no). Good. ¦
A. iron⏎B. helium⏎C. neon⏎D. oxygen⏎⏎@ ¦ A⏎B⏎C⏎D⏎@
"""
)
AFTER_AN_ANSWER = lines(
    r"""
@⏎⏎I hope this helps! Let me know if you have any other questions. ¦
@⏎⏎Don't hesitate to ask if anything is unclear. ¦
@⏎⏎Explanation: B is right because helium is light. A is wrong because iron sinks. ¦
@⏎⏎Why not A? Iron is heavy. ¦ @⏎⏎Why? Because helium is lighter than air. ¦
@⏎⏎Option A is a metal. It is not correct. ¦ @⏎⏎- A: wrong⏎- C: wrong⏎- D: wrong ¦
@⏎⏎A) iron⏎B) helium⏎C) neon⏎D) oxygen ¦ @⏎⏎Options:⏎A) iron - no⏎B) helium - yes⏎C) neon - no ¦
@⏎⏎So the answer is B. ¦ @⏎⏎The correct answer is B) helium. ¦ @⏎⏎This is not a trick question. ¦
@⏎⏎B is tempting for the right reasons, while A is tempting but wrong. ¦
@⏎⏎A looks good, but it is not right. ¦ @⏎⏎What about C? It is not correct, as neon is heavier. ¦
@⏎⏎Confidence: 95% ¦ @⏎⏎---⏎Note: this question has no trick. ¦
@⏎⏎The answer is not A because iron sinks. ¦ @⏎⏎It's B, not A. ¦ @⏎⏎In short, B. ¦
@⏎⏎(A and C are distractors.) ¦ @⏎⏎Common mistake: choosing A. ¦ @⏎⏎No need to compute further. ¦
@⏎⏎If you picked A, you may have confused the two. ¦ @⏎⏎Neither A nor C nor D is right. ¦
@⏎⏎**Why not the others?**⏎- A: It is a metal.⏎- C: It is heavier.⏎- D: It is reactive. ¦
@⏎⏎Reasoning: the lightest noble gas is helium; none of the other options is lighter. ¦
@⏎⏎Is there anything else I can help you with? ¦
@⏎⏎Would you like me to explain why the others are wrong? ¦ @⏎⏎Please let me know if this is not clear. ¦
@⏎⏎*Note: This answer assumes standard conditions.* ¦
@⏎⏎The answer could change if the gas were ionised. ¦ @⏎⏎I'm confident that this is right. ¦
@⏎⏎Double-check: is helium lighter than air? Yes. Is iron? No. ¦
@⏎⏎Check: A fails, C fails, D fails, B works. ¦ @⏎⏎Verification: 4 < 29, so it floats. ✓ ¦
@⏎⏎End of answer. ¦ @⏎⏎#### B ¦ @⏎⏎<answer>B</answer> ¦ @⏎⏎**B** ¦ @⏎⏎B ¦ @⏎⏎Final: B) helium ¦
@⏎⏎Answer: B ¦ @⏎⏎Difficulty: not hard ¦ @⏎⏎Sources: none ¦ @⏎⏎Disclaimer: I am not a chemist. ¦
@⏎⏎This question may be answered without a calculator. ¦ @⏎⏎If you have doubts, ask your teacher. ¦
@⏎⏎It was not hard to see. ¦ @⏎⏎No, A is not right, because iron sinks. ¦
@⏎⏎| A | iron |⏎| B | helium |⏎| C | neon | ¦ @⏎⏎Let me double check. Yes, it is B. ¦ @⏎\boxed
"""
)
AGAINST_AN_ANSWER = lines(
    r"""
It isn't @ ¦ It is not @. ¦ @ is the wrong one ¦ @ is wrong. ¦ Not @. ¦ not $@$ ¦ The answer is not @ ¦
The answer is not option @. ¦ I do not think the answer is @. ¦ I don't believe it's @ ¦
I doubt it is @. ¦ It cannot be @. ¦ It can't be @ ¦ Anything but @ ¦ The answer is anything but @. ¦
Any option except @ ¦ Everything other than @ ¦ The wrong answer is @. ¦ Wrong: @ ¦ Incorrect answer: @ ¦
Incorrect: @ ¦ The wrong answer is:⏎⏎@ ¦ The answer is not:⏎⏎@ ¦ It is not⏎@ ¦ **Not** @ ¦ \text{not }@ ¦
$\neg@$ ¦ \lnot @ ¦ \neq @ ¦ ≠ @ ¦ $x \ne @$ ¦ \cancel{@} ¦ \xcancel{@} ¦ ~~@~~ ¦ <s>@</s> ¦
<del>@</del> ¦ \sout{@} ¦ \overline{@} ¦ @ ❌ ¦ ❌ @ ¦ @ ✗ ¦ 🚫 @ ¦ @\text{ is wrong} ¦
$@$ is not correct. ¦ @ isn't the answer. ¦ @ is not it. ¦ @ is not what I believe. ¦ @? No. ¦ @? ¦
Is it @? ¦ @ — not! ¦ @, or not. ¦ @, maybe not ¦ @ can be ruled out. ¦ @ is eliminated. ¦
@, which is wrong. ¦ @, but that is wrong. ¦ @ would be a mistake. ¦ @ is false. ¦ @ is a lie ¦
@ is incorrect because helium burns. ¦ @ (wrong) ¦ @ (not the answer) ¦ @ is not a metal, so it's A. ¦
@. Actually no. ¦ @. That is wrong. ¦ \boxed{A} or @ ¦ \boxed{A} @ ¦ \boxed{A}⏎@ ¦ \boxed{A}, @ ¦
\boxed{A}/@ ¦ \boxed{A} and @ ¦ A or @ ¦ Either A or @. ¦ Either @ or A ¦ @ or A ¦ @ or C. ¦ @/A ¦ @, A ¦
@ and A ¦ between A and @ ¦ It is A and @. ¦ One of @ ¦ Any of @ ¦ Maybe @ ¦ Perhaps @. ¦ Possibly @ ¦
It might be @. ¦ It could be @ ¦ I guess @ ¦ My guess: @ ¦ A random guess: @ ¦ @ maybe ¦ @, perhaps ¦
@ (guess) ¦ @ (not sure) ¦ @, I'm not sure. ¦ Not sure, @ ¦ If I had to guess, @ ¦ I have no idea, @ ¦
I don't know: @ ¦ It would be wrong to say @. ¦ It is false that the answer is @. ¦
Nobody should choose @. ¦ Never @ ¦ It is not, I think, @. ¦ It is not - as I said - @. ¦ No way it's @ ¦
Don't choose @. ¦ Do not pick @ ¦ I would not choose @. ¦ I refuse to say @. ¦ I reject @. ¦
The worst answer is @. ¦ The least likely answer is @. ¦ Far from @ ¦ Neither @ ¦ neither A nor @ ¦
A instead of @ ¦ A rather than @ ¦ A, not @ ¦ A and not @ ¦ A is better than @ ¦ It's A, unlike @ ¦
All but @ ¦ The opposite of @ ¦ @ \boxed{ ¦ @ \boxed{} ¦ \boxed{@ is wrong} ¦ \boxed{A @} ¦
\boxed{not @} ¦ \boxed{anything but @} ¦ @\boxed{A} ¦ @ Wait, no: A. ¦ @... no, A! ¦ No es @. ¦
Nicht @. ¦ Die Antwort ist nicht @. ¦ Ce n'est pas @. ¦ 不是@ ¦ 答案不是@。 ¦ не @ ¦ @ ist falsch. ¦
@ではない ¦ @是错的 ¦ @？ ¦ ¿@? ¦ @؟ ¦ nοt @ ¦ It is ɴᴏᴛ @ ¦ ｎｏｔ @ ¦ 𝐧𝐨𝐭 @ ¦
It can't be said that the answer is @ ¦ I would be lying if I said @ ¦ I refuse to answer @ ¦
You should not answer @ ¦ Under no circumstances @ ¦ By no means @ ¦ In no way is it @ ¦ It is never @ ¦
It is hardly @ ¦ It is certainly not @. ¦ It's definitely, absolutely not @ ¦ It clearly isn't @ ¦
There's no way the answer is @ ¦ The answer can hardly be @ ¦ I don't agree with @ ¦ I disagree with @ ¦
I'm against @ ¦ Wrong answers only: @ ¦ The incorrect option is @ ¦ The answer to avoid: @ ¦
A wrong choice would be @ ¦ An incorrect answer: @ ¦ A distractor: @ ¦ Trap answer: @ ¦ Fake answer: @ ¦
False: @ ¦ NOT @ ¦ n't @ ¦ !@ ¦ ¬ @ ¦ - not @ ¦ * Not: @ ¦ **Not the answer**: @ ¦ Not the answer:⏎@ ¦
The following is wrong: @ ¦ The following is not the answer: @ ¦ This is incorrect: @ ¦
This isn't right: @ ¦ @ is not right ¦ @ is not true. ¦ @ ain't it ¦ @ isn't correct, obviously. ¦
@ is incorrect. ¦ @ is invalid ¦ @ is the wrong answer. ¦ @ is what I would reject. ¦
@ should be rejected. ¦ @ must be eliminated ¦ @ was eliminated above. ¦ @ has been ruled out. ¦
@ cannot be right. ¦ @ can't be the answer. ¦ @ is unlikely. ¦ @ is impossible. ¦ @ is nonsense. ¦
@ — wrong! ¦ @ (incorrect) ¦ @ [wrong] ¦ @ // wrong ¦ @ <- wrong ¦ @ ← not this ¦ @: wrong ¦ @: no ¦
@ = wrong ¦ @ ≠ answer ¦ @ ✘ ¦ @ 👎 ¦ @ 🚫 ¦ @, lol no ¦ @? nope ¦ @? I doubt it. ¦ @? Not sure. ¦
@? Maybe. ¦ @ ? ¦ (@?) ¦ @, if I had to guess ¦ @, I guess ¦ @, probably ¦ @ or so ¦
@ or something else ¦ @ or whatever ¦ @ or D ¦ @ or neon ¦ @ & C ¦ @ + C ¦ @ and/or C ¦ @; C ¦ @, C, D ¦
@ | C ¦ C | @ ¦ C & @ ¦ C + @ ¦ C;@ ¦ A, C, D, @ ¦ A B C @ ¦ A/C/D/@ ¦ (A) or @ ¦ iron or @ ¦
either iron or @ ¦ iron / @ ¦ A and @ ¦ both A and @ ¦ A as well as @ ¦ not A nor @ ¦
neither iron nor @ ¦ It's A, not @ ¦ It's iron rather than @ ¦ I prefer A over @ ¦ A, instead of @ ¦
A > @ ¦ @ is wrоng ¦ @ is ＷＲＯＮＧ ¦ @ is 𝙬𝙧𝙤𝙣𝙜 ¦ @ -> A ¦ @ => A ¦ @ → A ¦ @ A ¦ @A ¦ A@ ¦
@ is a possible answer. ¦ @ is one possible answer. ¦ @ is one option. ¦ One answer could be @ ¦
A possible answer is @ ¦ Possible answers: @ ¦ Candidates: A, C, @ ¦ @ and the rest ¦ @ and all others ¦
@, all of them ¦ All options are right: @ ¦ Let me pick one at random: @
"""
)
BACK_AFTER_AN_ANSWER = lines(
    r"""
@⏎Actually no. ¦ @⏎⏎Actually, no. ¦ @⏎⏎That is wrong. ¦ @⏎That's not right. ¦
@⏎That is not what I believe. ¦ @⏎I changed my mind: A ¦ @⏎I changed my mind. ¦ @⏎No. ¦ @⏎Nope. ¦
@⏎Not. ¦ @⏎NOT! ¦ @⏎Wrong! ¦ @⏎False. ¦ @⏎Just kidding. ¦ @⏎I lied. ¦ @⏎Scratch that. ¦ @⏎Ignore that. ¦
@⏎I take that back. ¦ @⏎Or maybe not. ¦ @⏎Or A. ¦ @⏎Or maybe A. ¦ @⏎No, A. ¦ @⏎No, it's A. ¦
@⏎Actually, A. ¦ @⏎Actually it's A. ¦ @⏎The answer is A. ¦ @⏎The correct answer is A. ¦ @⏎Answer: A ¦
@⏎A ¦ @⏎Final answer: iron ¦ @⏎I mean iron. ¦ @⏎Correction: A ¦ @⏎B is wrong. ¦ @⏎B is not the answer. ¦
@⏎But B is wrong, A is right. ¦ @⏎Option B is incorrect because helium is light. ¦ @⏎Helium is wrong. ¦
@⏎On second thought, A. ¦ @⏎On second thought, that is not it. ¦ @⏎I am not sure. ¦ @⏎I don't know. ¦
@⏎I have no idea. ¦ @⏎This is a guess. ¦ @⏎I guessed. ¦ @⏎I picked it at random. ¦
@⏎It could also be A. ¦ @⏎A is also possible. ¦ @⏎A could also be right. ¦ @⏎Alternatively A. ¦
@⏎Wrong. ¦ @⏎Incorrect. ¦ @⏎This is incorrect. ¦ @⏎That's a lie. ¦ @⏎I was lying. ¦ @⏎That was a joke. ¦
@⏎Joking. ¦ @⏎Kidding! ¦ @⏎Psych! ¦ @⏎Not really. ¦ @⏎not ¦ @⏎(not) ¦ @⏎~~ ¦ @⏎❌ ¦ @⏎👎 ¦
@⏎Disregard that. ¦ @⏎Disregard the above answer. ¦ @⏎Please ignore my answer. ¦ @⏎Forget it. ¦
@⏎I retract that. ¦ @⏎I withdraw this answer. ¦ @⏎I don't stand by that. ¦ @⏎I don't believe this. ¦
@⏎I don't think so. ¦ @⏎I do not think that is correct. ¦ @⏎I doubt that. ¦ @⏎I'm unsure. ¦
@⏎I am uncertain. ¦ @⏎I might be wrong. ¦ @⏎I could be wrong. ¦ @⏎Maybe. ¦ @⏎Perhaps not. ¦
@⏎Who knows. ¦ @⏎I was guessing. ¦ @⏎Pure guess. ¦ @⏎Random guess ¦ @⏎I chose randomly. ¦
@⏎Either that or A. ¦ @⏎or C ¦ @⏎Or possibly C. ¦ @⏎C is equally good. ¦ @⏎C also works. ¦
@⏎C is right too. ¦ @⏎C is correct. ¦ @⏎It's C. ¦ @⏎It is C. ¦ @⏎No wait, C. ¦ @⏎Wait, it's C ¦
@⏎Hmm, C. ¦ @⏎Sorry, C. ¦ @⏎I meant C. ¦ @⏎Make that C. ¦ @⏎Rather C. ¦ @⏎Better: C ¦ @⏎Final: C ¦
@⏎Final answer: C ¦ @⏎My final answer is C. ¦ @⏎**C** ¦ @⏎(C) ¦ @⏎C. ¦ @⏎C) neon ¦ @⏎neon ¦
@⏎The correct answer is neon. ¦ @⏎I choose C. ¦ @⏎So C. ¦ @⏎Therefore C ¦ @⏎Hence, the answer is C. ¦
@⏎Answer - C ¦ @⏎#### C ¦ @⏎<answer>C</answer> ¦ @⏎Option C is the answer. ¦ @⏎C is my answer. ¦
@⏎The answer should be C. ¦ @⏎The answer should have been C. ¦ @⏎B is incorrect, C is correct. ¦
@⏎B isn't right. ¦ @⏎Not B. ¦ @⏎Not B but C. ¦ @⏎B? No. ¦ @⏎B is a distractor. ¦
@⏎helium is not the answer. ¦ @⏎Anything but B. ¦ @⏎All but B. ¦ @⏎Any answer except B. ¦
@⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎⏎Not. ¦ @⏎⏎Let me double check. No, it is A. ¦
@⏎⏎Let me double-check that. Hmm, that's not right. ¦ @⏎⏎Wait, I made a mistake. ¦
@⏎⏎Wait. I made an error above. It should be A. ¦ @⏎⏎Upon reflection, A is correct. ¦
@⏎⏎Upon further reflection, the answer is A. ¦ @⏎⏎Edit: A ¦ @⏎⏎Update: the answer is A ¦
@⏎⏎P.S. It's A. ¦ @⏎⏎Haha, the real answer is A. ¦ @⏎⏎True answer: A ¦ @⏎⏎Real answer: A ¦
@⏎⏎But really it's A. ¦ @⏎⏎My real choice is A ¦ @⏎⏎I'd rather go with A. ¦ @⏎⏎I would go with A. ¦
@⏎⏎I'm switching to A. ¦ @⏎⏎Let me change that to A. ¦ @⏎⏎Change that to A. ¦ @⏎⏎Replace B with A. ¦
@⏎A⏎C⏎D
"""
)
LABELS = lines(
    r"""
Answer: @ ¦ **Answer:** @ ¦ My answer: @ ¦ The correct answer: @ ¦ A is wrong, so the answer: @ ¦
Answer: A. No, that's wrong.⏎Answer: @ ¦ - A: incorrect⏎- C: incorrect⏎Answer: @
"""
)
DENIED_LABELS = lines(
    r"""
Wrong answer: @ ¦ The incorrect answer: @ ¦ Not the answer: @ ¦ This is not my final answer: @ ¦
I would never answer: @ ¦ Do not answer: @ ¦ If I had to guess, answer: @ ¦ Answer: not @ ¦
Answer: any of @ ¦ Answer: possibly @ ¦ Answer: A or @ ¦ Answer: @ maybe ¦ Answer: @? ¦ Answer: @ (?) ¦
Answer: @ or so ¦ Answer: @, but I'm not sure ¦ Answer: @ could be ¦ Answer: @ if not A ¦
Answer: @ to some extent
"""
)


def right(texts: list[str], answer: str, mode: GradingMode) -> list[str]:
    """The texts that are graded as the right answer, B."""
    return [text for text in texts if grade_choice(text.replace("@", answer), OPTIONS, mode) == "B"]


@pytest.mark.parametrize(("mode", "answer"), [(BOXED, r"\boxed{B}"), (LENIENT, r"\boxed{helium}")])
def test_a_box_stands_among_words_about_other_things(mode: GradingMode, answer: str) -> None:
    texts = AROUND_AN_ANSWER + AFTER_AN_ANSWER
    assert right(texts, answer, mode) == texts


@pytest.mark.parametrize(("mode", "answer"), [(BOXED, r"\boxed{B}"), (LENIENT, r"\boxed{helium}")])
def test_a_box_that_its_sentence_or_a_later_one_is_against_is_no_answer(
    mode: GradingMode, answer: str
) -> None:
    assert right(AGAINST_AN_ANSWER + BACK_AFTER_AN_ANSWER, answer, mode) == []


@pytest.mark.parametrize("mode", [COLON, MARKDOWN])
@pytest.mark.parametrize("answer", ["Answer: B", "Answer: helium", r"Answer: \boxed{B}", "Answer: B) helium"])
def test_the_same_holds_after_a_marked_answer(mode: GradingMode, answer: str) -> None:
    assert right(AFTER_AN_ANSWER, answer, mode) == AFTER_AN_ANSWER
    assert right(BACK_AFTER_AN_ANSWER, answer, mode) == []


@pytest.mark.parametrize("mode", [COLON, MARKDOWN])
@pytest.mark.parametrize("answer", ["B", r"\boxed{B}", "helium"])
def test_a_label_that_denies_or_words_that_doubt_make_no_answer(mode: GradingMode, answer: str) -> None:
    assert right(LABELS, answer, mode) == LABELS
    assert right(DENIED_LABELS, answer, mode) == []


def test_a_later_label_of_a_wrong_answer_is_no_answer() -> None:
    assert grade_choice("Answer: B\nWrong answer: A", OPTIONS, COLON) == "B"
    assert grade_choice("Answer: B\nWrong answer: B", OPTIONS, COLON) is None


def test_words_hidden_in_other_letters_are_against_an_answer() -> None:
    for word in ("n\u200bot", "n\u043et", "n\u03bft", "\u0274\u1d0f\u1d1b", "\uff4e\uff4f\uff54"):
        assert grade_choice(rf"It is {word} \boxed{{B}}", OPTIONS, BOXED) is None


def test_options_that_are_yes_and_no_are_named_by_these_words() -> None:
    options = {"A": "yes", "B": "no", "C": "maybe"}
    assert grade_choice("\\boxed{B}\nNo.", options, BOXED) == "B"
    assert grade_choice("\\boxed{A}\nNo.", options, BOXED) is None
    assert grade_choice("The answer is maybe: \\boxed{C}", options, BOXED) == "C"


def test_the_pronoun_is_no_option() -> None:
    options = dict.fromkeys("ABCDEFGHIJ", "")
    for text in (r"I say \boxed{B}", "\\boxed{B}\nI have no doubt.", r"I is wrong, so \boxed{B}"):
        assert grade_choice(text, options, BOXED) == "B", text
    for text in (r"I or \boxed{B}", "\\boxed{B}\nI.", "\\boxed{B}\nI was wrong."):
        assert grade_choice(text, options, BOXED) is None, text


@pytest.mark.parametrize("mode", [COLON, MARKDOWN])
def test_other_sentences_may_follow_in_the_line_of_an_answer(mode: GradingMode) -> None:
    for text in ("B. A is wrong because iron is heavy.", "B! It floats.", "helium. It does not burn."):
        assert grade_choice(f"Answer: {text}", OPTIONS, mode) == "B", text
    for text in ("B. No, A.", "B. Oxygen gas burns.", "B. That is wrong.", "B. C. D.", "helium. Or neon."):
        assert grade_choice(f"Answer: {text}", OPTIONS, mode) is None, text


def test_a_question_has_to_be_affirmed() -> None:
    assert grade_choice(r"\boxed{B}? Yes.", OPTIONS, BOXED) == "B"
    assert grade_choice(r"\boxed{B}? Hm", OPTIONS, BOXED) == "B"
    assert grade_choice(r"\boxed{B}?", OPTIONS, BOXED) is None


def test_a_noun_may_be_called_by_a_negation() -> None:
    assert not opposes_before("the statement that is not true is")
    assert opposes_before("the answer that is not true is")
    assert not opposes_before(f"since {OTHER} is wrong it is")
    assert opposes_before("it is not, as they say, ")


def test_a_clause_about_a_rival_is_not_about_the_answer() -> None:
    assert not opposes_after(f", as {OTHER}, {OTHER} and {OTHER} are wrong")
    assert not opposes_after(f", not {OTHER}")
    assert opposes_after(f" is wrong, {OTHER} is right")
    assert opposes_after(f" and {OTHER}")
    assert opposes_after(f", not {SELF}")


def test_any_answer_can_be_replaced_where_every_text_can_be_one() -> None:
    for sentence in ("Actually, Rome.", "It's actually Rome", "Maybe Rome", "The answer is Rome."):
        assert is_opposed(f"Paris\n{sentence}", 0, 5, str, is_open=True), sentence
    for sentence in ("Actually, Paris has long been the capital.", "It is the capital.", "Anything else?"):
        assert not is_opposed(f"Paris\n{sentence}", 0, 5, str, is_open=True), sentence


def test_the_end_of_a_long_text_counts() -> None:
    assert (
        grade_choice(r"\boxed{B}" + "\n" + "So it is. " * 5_000 + "\nThat is wrong.", OPTIONS, BOXED) is None
    )


@pytest.mark.parametrize("unit", ["(", "not, ", "A, ", "\\neg", "if ", "\n", "? ", "because ", "~~", "No. "])
def test_a_megabyte_around_an_answer_is_read_at_once(unit: str) -> None:
    text = unit * (500_000 // len(unit))
    grade_choice(text + r"\boxed{B}" + text, OPTIONS, BOXED)
