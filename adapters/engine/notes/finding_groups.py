"""Which group a finding belongs to. Only what is clearly normal is called normal; a finding in doubt is listed as abnormal.

| said | group |
|---|---|
| a measure of the body, by its name | vital-signs |
| a test of blood, urine, a swab, or "the results" | laboratory-results |
| a picture or a tracing (X-ray, scan, ECG) | imaging-results |
| every part of it says normal, or no to something abnormal | normal-physical-findings |
| anything else | abnormal-physical-findings |
"""

from __future__ import annotations

import re

from adapters.engine.notes.medical_words import any_of

VITAL_SIGNS = any_of(r"""
    blood pressure(?! (?:medic\w+|meds|pills?|tablets?|cuff|problems?))|pulse(?! (?:in|at|of|on)\b)|heart rate|temperature|oxygen(?: levels?| saturations?)?|saturations?|sats|respiratory rate|breathing rate
    weight(?![- ](?:bearing|loss|gain))|height|bmi|body mass index|vital signs|vitals
""")
ANALYTES = any_of(r"""
    ha?emoglobin|(?:hb)?a1c|glucose|potassium|sodium|creatinine|e?gfr|kidney function|liver function|liver enzymes|cholesterol|ldl|hdl|triglycerides
    white (?:blood )?(?:cell )?count|white cells|platelets|inr|tsh|vitamin d|b12|ferritin|crp|esr|d-?dimer|troponin|psa|blood sugars?|calcium
""")
LABORATORY = any_of(rf"""
    {ANALYTES}|blood (?:tests?|counts?|results?|work|cultures?)|bloods|bloodwork|labs|thyroid (?:function|levels?|tests?)|iron levels?
    urine|urinalysis|urine dip(?:stick)?|cultures?|swab|biopsy|pathology|(?:strep|covid|flu|pregnancy|hiv|stool|urine) tests?
    (?:test )?results?|tests? (?:came|come|have come|has come) back
""")
IMAGING = any_of(r"""
    x-?rays?|radiographs?|ct|cat scan|mri|ultrasound|scans?|echo(?:cardiogram)?|mammogram|ecg|ekg|electrocardiogram|dexa|doppler|angiogram|imaging
""")
RESULTS = re.compile(
    f"(?P<vital_signs>{VITAL_SIGNS})|(?P<laboratory_results>{LABORATORY})|(?P<imaging_results>{IMAGING})", re.IGNORECASE
)
VALUE = r"(?:\d|high|low|normal|raised|elevated|fine|up|down|good|better|worse|(?:a (?:little|bit)|slightly|very|quite|too|still) (?:high|low|raised|elevated|up|down))"  # fmt: skip
NAMED_RESULT = re.compile(
    rf"\b(?:the|your) {ANALYTES}(?: levels?)? (?:(?:has |have )?c[ao]me back\b|(?:is|was|are|were) (?:at )?{VALUE})",
    re.IGNORECASE,
)

ABNORMAL = r"(?<!non-)" + any_of(r"""
    (?:swollen|enlarged) (?:lymph )?(?:glands|nodes)|crackles?|wheez(?:e|es|ing)|rales|rhonchi|murmurs?|gallops?|rubs?|swelling|swollen|edema|oedema|redness|red|tenderness|tender|rash(?:es)?|bruis(?:es|ing|ed)
    fever|lumps?|mass(?:es)?|discharge|pus|fluid|bleeding|blood|infection|inflam(?:ed|mation)|irritation|fractures?|dislocation|deformity|effusion|guarding
    rebound|rigidity|distension|enlarged|enlargement|jaundice|pale|pallor|stiff(?:ness)?|weak(?:ness)?|numb(?:ness)?|tremor|limp|lesions?|ulcers?|wounds?
    warmth|erythema|cyanosis|clubbing|pain(?:ful)?|spasm|crepitus|instability|abnormalit(?:y|ies)|abnormal|irregular(?:ity|ities)?|exudates?|scars?
    concerns?|concerning|positive|reduced|decreased|limited|diminished|high|low|fast|slow|loud
""")
OBVIOUS = r"(?:(?:obvious|significant|signs? of|evidence of|any|visible|palpable|acute|joint|other|further|an?|chest|pitting|calf|abdominal|heart) )*"
NONE_OF_IT = re.compile(
    rf"\b(?:no|without|not any|(?:don't|do not|can't|cannot) (?:hear|see|feel|find)|isn't|aren't|not) {OBVIOUS}{ABNORMAL}"
    rf"(?:(?:, {OBVIOUS}{ABNORMAL})*,? (?:or|nor) {OBVIOUS}{ABNORMAL})?",
    re.IGNORECASE,
)
WELL = (
    r"(?:clear|normal(?:ly)?|fine|good|healthy|regular|soft|intact|symmetrical|equal|unremarkable|non-?tender|full|strong|well[- ]healed|clean"
    r"|(?:five|5) (?:out of|over) (?:five|5))\b"
)
VERY = r"(?:(?:all|both|very|completely|perfectly|nicely|well|also|to be) )*"
NORMAL = re.compile(
    rf"\b(?:is|are|looks?|sounds?|feels?|seems?|moves?) {VERY}{WELL}|^{VERY}{WELL}"
    r"|(?<!than )(?<!above )(?<!below )(?<!from )(?<!outside )(?<!to )\bnormal\b",
    re.IGNORECASE,
)
NEGATION = re.compile(r"n't\b|\b(?:no|not|never|without|nor|cannot|absent|missing|loss|lost|less)\b", re.IGNORECASE)
QUALIFIED = re.compile(
    r"\b(?:but|except|apart|although|though|however|only|just|slight\w*|mild\w*|a bit|a little|some|more|still|almost|nearly|mostly|better|worse|improv\w+|"
    r"otherwise|if|when|until|was|were|had|today|now|again|yet)\b",
    re.IGNORECASE,
)
PARTS = re.compile(r",?\s+and\s+|,\s+|;\s*", re.IGNORECASE)
VERB = re.compile(r"\b(?:is|are|looks?|sounds?|feels?|seems?|moves?|has|have|hear|see|there's)\b", re.IGNORECASE)
SUBJECT = re.compile(r"^(?:your|the|both|my)\b", re.IGNORECASE)
NOTHING_ABNORMAL = "∅"


def finding_group(said: str) -> str:
    if named := RESULTS.search(said):
        return str(named.lastgroup).replace("_", "-")
    return "normal-physical-findings" if _all_normal(said) else "abnormal-physical-findings"


def _all_normal(said: str) -> bool:
    """Part by part: "the throat is clear and the ear is blue" has one normal part only."""
    left = NONE_OF_IT.sub(NOTHING_ABNORMAL, re.sub(r"\bnice and ", "", said.rstrip(".! ")))
    if re.search(ABNORMAL, left, re.IGNORECASE) or NEGATION.search(left) or QUALIFIED.search(left):
        return False
    awaits_verdict = False
    for n, part in enumerate(PARTS.split(left)):
        if NOTHING_ABNORMAL in part or NORMAL.search(part):
            awaits_verdict = False
        elif VERB.search(part) or not (n == 0 or awaits_verdict or SUBJECT.match(part)):
            return False
        else:
            awaits_verdict = True
    return not awaits_verdict
