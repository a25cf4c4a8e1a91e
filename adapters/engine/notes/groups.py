"""The words that belong to each fact group: in a doctor's question, and in a patient's own clause.

A question must be clear alone ("Any allergies?"). What speaks against a match is in `sorting.py`.
"""

from __future__ import annotations

import re

from adapters.engine.notes.medical_words import BLOOD_RELATIVES, DISEASES, MEDICINES

SUBJECTIVE = (
    "chief-complaint",
    "history-of-present-illness",
    "past-medical-history",
    "surgical-history",
    "family-history",
    "social-history",
    "functional-status",
    "medications-prior-to-visit",
    "allergies",
    "demographics",
    "denials-of-symptoms",
    "concerns-and-expectations",
    "other",
)
OBJECTIVE = (
    "vital-signs",
    "laboratory-results",
    "imaging-results",
    "normal-physical-findings",
    "abnormal-physical-findings",
)
ASSESSMENT = ("assessment",)
PLAN = ("plan", "actions")


def one_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


EXERCISE = r"(?:exercise|work out|go to the gym|swim|jog|cycle)\b"
CARE_OF_ONESELF = (
    r"(?:wash(?:ing)?|dress(?:ing)?|bath(?:e|ing)|shower(?:ing)?|cook(?:ing)?|(?:do )?(?:the |my |your )?(?:housework|shopping|laundry)"
    r"|(?:look after|care for) (?:my|your)self)\b"
)

# of several that fit, the first
ASKED = {
    "family-history": one_of(
        r"\bfamily (?:medical )?history\b",
        r"\b(?:run|runs|running) in (?:your|the) family\b",
        rf"{DISEASES}.* in (?:your|the) family\b",
        rf"\b(?:anyone|anybody) (?:else )?in (?:your|the) family\b.*{DISEASES}",
        rf"\byour {BLOOD_RELATIVES}.*{DISEASES}",
        r"\ballerg(?:y|ies) (?:\w+ ){0,2}?in (?:your|the) family\b",
        r"\b(?:anyone|anybody) (?:else )?in (?:your|the) family\b.*\ballerg(?:y|ies|ic)\b",
        rf"^(?:and )?(?:the |your )?family[:,-] ?.*{DISEASES}",
    ),
    "allergies": one_of(
        r"\ballerg(?:y|ies|ic)\b",
        r"\breactions? to (?:any |a )?(?:drugs?|medic\w+|foods?|antibiotics?)\b",
    ),
    "concerns-and-expectations": one_of(
        r"\b(?:are|were) you (?:\w+ )?(?:worried|concerned|afraid|hoping)\b",
        r"\byou(?:'re| are| were) (?:\w+ )?(?:worried|concerned|hoping)\b",
        r"\bworr(?:ies|ying) you\b",
        r"\b(?:your|any|other|particular) (?:\w+ )?(?:worry|worries|concerns?|expectations)\b",
        r"\bdo you (?:worry|hope|expect)\b",
        r"\bwhat do you think (?:is causing|might|it)\b",
    ),
    "medications-prior-to-visit": one_of(
        rf"\b(?:taking|take|on|using|use) (?:\w+ ){{0,3}}{MEDICINES}",
        r"\b(?:what|which|any|your) (?:\w+ )?(?:medications?|medicines|meds)\b.* (?:you|taking|on)\b",
        rf"^(?:any|regular|current|daily|usual|other) (?:\w+ )?{MEDICINES}",
    ),
    "surgical-history": one_of(
        r"\b(?:any|ever|had|previous|past|prior|other)(?: [\w'-]+){0,4} (?:surgery|surgeries|operations?)\b",
        r"\bsurgical history\b",
    ),
    "social-history": one_of(
        r"\b(?:smoke|smoker|smoked|smoking|tobacco|cigarettes|vape|vaping|alcohol|cannabis|marijuana)\b",
        r"\b(?:recreational|street|illicit|illegal) drugs?\b",
        r"\buse (?:any )?drugs\b",
        r"\bdo you (?:\w+ )?drink\b(?!.*\b(?:water|fluids?|liquids?|enough|coffee|tea|milk|eat)\b)",
        r"\bfor (?:a living|work)\b",
        r"\byour (?:job|occupation|profession)\b",
        r"\b(?:kind|sort|type) of (?:job|work)\b",
        r"\b(?:are you (?:working|retired|employed)|do you work)\b",
        r"\b(?:who do you live|do you live|(?:who is|who's) at home)\b",
        r"\b(?:are you (?:married|single|in a relationship)|sexually active)\b",
        rf"\bdo you (?:\w+ )?{EXERCISE}",
    ),
    "past-medical-history": one_of(
        r"\b(?:past|previous) (?:medical )?history\b",
        r"\bmedical history\b",
        r"\b(?:medical|health) (?:conditions?|problems?|issues?|illnesses)\b",
        r"\b(?:chronic|long[- ]term) (?:conditions?|illness(?:es)?|diseases?)\b",
        rf"\b(?:ever|been) (?:had|diagnosed with|told (?:that )?you have|treated for) (?:\w+ ){{0,2}}{DISEASES}",
        rf"\bdo you have (?:(?:any|a|an) )?(?:history of )?{DISEASES}",
        r"^any history of\b",
        r"\bever been (?:hospitali[sz]ed|admitted|in (?:the )?hospital)\b",
    ),
    "functional-status": one_of(
        rf"\b(?:able to|manage to|need (?:any )?help (?:with|to)) (?:\w+ ){{0,2}}{CARE_OF_ONESELF}",
        r"\b(?:activities of daily (?:living|life)|daily (?:activities|life)|day[- ]to[- ]day)\b",
        r"\b(?:walking (?:stick|aid|frame)|wheelchair)\b",
        r"\bhow (?:are|do) you (?:\w+ )?(?:manag(?:e|ing)|cop(?:e|ing)) (?:at home|on your own)\b",
        r"\baffect(?:s|ed|ing)? your (?:work|job|daily|everyday)\b",
    ),
    "demographics": one_of(
        r"\bhow old are you\b",
        r"\byour (?:age|date of birth|birthday|(?:full |first |last )?name|address|phone number)\b",
        r"\bwhere were you born\b",
    ),
}

OFTEN = r"(?: (?:\w+ly|also|just|still|only|do|always|sometimes|never|not))*"
TAKES = (
    rf"\b(?:I{OFTEN} (?:take|use|(?:stopped|quit|started) (?:taking|using)|used to (?:take|use|be on))"
    rf"|(?:I'm|I am|I've been|I have been|I was){OFTEN} (?:taking|using|on)|I (?:don't|do not) (?:take|use)"
    r"|(?:put|started|kept) me on|I(?:'m| am| was|'ve been| have been) prescribed|my (?:medications?|medicines|meds|tablets) (?:are|is|include))\b"
)
REMOVED = (
    "(?:appendix|gall ?bladder|tonsils|adenoids|womb|uterus|ovar(?:y|ies)|spleen|kidney|thyroid|prostate|wisdom teeth|mole|cyst|lump|polyps?"
    "|tumou?r|hernia)"
)
MENDED = rf"(?:{REMOVED}|hip|knee|shoulder|ankle|valve|cataracts?|rotator cuff|meniscus|acl)"
OPERATION = (
    r"(?:surgery|surgeries|operation|(?:hip|knee|shoulder|valve|joint) replacement|(?:kidney|liver|heart|lung) transplant|\w{3,}ectomy"
    r"|\w{3,}plasty|bypass|c-section|ca?esarean|stents?|pacemaker)"
)

# a clause of the patient's own; of several that fit, the first
TOLD = {
    "medications-prior-to-visit": one_of(rf"{TAKES}(?: \S+){{0,6}}? {MEDICINES}", r"\bI'm on the pill\b"),
    "surgical-history": one_of(
        rf"\b(?:had|underwent) (?:[\w'-]+ ){{0,4}}{OPERATION}\b",
        rf"\b(?:had|took) (?:out )?(?:[\w'-]+ ){{0,3}}{MENDED} (?:\w+ )?(?:out|removed|replaced|repaired|fixed|done)\b",
        rf"\b{REMOVED} (?:was|were) (?:taken out|removed)\b",
        rf"^(?:\w+ )?{OPERATION} (?:in (?:19|20)\d\d|\w+ years ago)\b",
        rf"\b(?:never had|haven't had|not had|no) (?:any )?(?:\w+ )?{OPERATION}\b",
    ),
    "past-medical-history": one_of(
        rf"^(?:I (?:also |already |do |don't |never |still )?(?:have|had|suffer from)|I've|I have)(?: (?:got|had|never|always|also|a|an|the|some|mild|bad"
        rf"|chronic|type \w+|history of))* {DISEASES}",
        r"\bI(?:'ve been| was| have been| got) (?:\w+ )?diagnosed with\b",
        r"^I(?:'m| am) (?:(?:a|an|also|type \w+) )*(?:diabetic|asthmatic|epileptic|ana?emic)\b",
        r"\bmy (?:past )?medical history\b",
    ),
    "social-history": one_of(
        r"\bI(?:'m|'ve)? (?:[\w'-]+ ){0,4}(?:smok(?:e|er|ed|ing)|vap(?:e|ed|ing))\b",
        r"^never smoked\b",
        r"\bI(?:'ve)? (?:[\w'-]+ ){0,6}(?:cigarettes?|tobacco|alcohol|beers?|wine|whisk(?:e)?y|vodka|cannabis|marijuana|cocaine|heroin)\b",
        r"\bI (?:[\w']+ )?drink (?:socially|occasionally|at (?:the )?weekends?|on (?:the )?weekends?|at all|most|heavily)\b",
        r"\bI (?:don't|do not|never) drink$",
        r"\bI (?:\w+ly |still |used to )?work(?:ed)? (?:as|in|at|for|from|full|part|nights|shifts)\b",
        r"\bI(?:'m| am) (?:a )?(?:retired|unemployed|self-employed|student)\b|\bI(?:'ve)? retired\b|\bmy job\b",
        r"\bI (?:still |currently )?live (?:with|alone|by myself|on my own|at|in)\b",
        r"\bI(?:'m| am) (?:married|single|divorced|widowed|separated)\b",
        rf"\bI (?:\w+ )?{EXERCISE}",
    ),
    "functional-status": one_of(
        rf"\bI (?:can|can't|cannot|could|couldn't|manage to|struggle to|need help (?:to|with)|am able to) (?:\w+ ){{0,2}}{CARE_OF_ONESELF}",
        r"\bI (?:\w+ )?(?:use|need|walk with) (?:a|my) (?:walking (?:stick|frame)|stick|cane|walker|crutch(?:es)?|wheelchair|zimmer)\b",
        r"\bI (?:can )?do everything (?:for )?myself\b",
        r"\bI (?:\w+ )?manage (?:on my own|by myself|at home)\b",
    ),
    "demographics": one_of(
        r"\bI(?:'m| am) \d{1,3}(?: years old)?$",
        r"\bI(?:'m| am) (?:[\w-]+ ){1,2}years old\b",
        r"\bI was born (?:in|on)\b",
        r"\bmy (?:date of birth|birthday) is\b",
    ),
    "other": one_of(
        r"\bmy (?:insurance|pharmacy)\b", r"\b(?:sick|fit|doctor's) note\b|\bnote for (?:work|school)\b|\bpaperwork\b"
    ),
}

ALLERGIC = one_of(
    r"\ballergic to\b",
    r"\b(?:no|any|have|has|had|known|with|got) (?:\w+ ){0,2}allerg(?:y|ies)\b",
    r"^allergies\b",
    r"\bmy (?:only )?allerg(?:y is|ies are)\b",
    r"\banaphyla\w+",
)
REACTED = one_of(r"\b(?:rash|hives|swell\w*|itch\w*|reaction|sneez\w+)\b", MEDICINES)
IN_THE_FAMILY = one_of(
    rf"\bmy (?:\w+ )?{BLOOD_RELATIVES}(?:'s {BLOOD_RELATIVES})?(?:,? and (?:my )?(?:\w+ )?{BLOOD_RELATIVES})?,?"
    rf"(?: (?:who|she|he|they|also|both|all|always|recently))*"
    rf" (?:(?:has|had|have|got|suffers|suffered|died|passed away|(?:was|were|has been|have been) diagnosed)(?: [\w'-]+){{0,6}}? {DISEASES}"
    rf"|(?:is|was|are|were)(?: (?:also|both|a|an))* (?:diabetic|asthmatic|epileptic))",
    r"\bfamily history\b",
    r"\bruns? in (?:my|the) family\b",
    rf"{DISEASES} in (?:my|the) family\b",
    r"\bon my (?:mother|father|mum|mom|dad)'s side\b",
)
WORRIED = one_of(
    r"\bI(?:'m| am| was|'ve been| have been)(?: \w+){0,2} (?:worried|concerned|hoping|anxious (?:about|that)|scared (?:that|it)|afraid (?:of|that it|it))\b",
    r"\bI (?:\w+ )?(?:worry|hope)\b",
    r"\bI (?:was wondering|wondered) (?:if|whether)\b",
    r"\bmy (?:\w+ )?(?:worry|worries|concern|fear|hope) (?:is|are|was)\b",
    r"\bworries me\b",
    r"\bI(?:'d| would)? (?:really |just |only )?(?:want|wanted|like|prefer|rather) (?:not |to (?:know|find out|make sure|be sure|avoid|get back|rule)\b|you to\b)",
)
