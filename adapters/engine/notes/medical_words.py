"""General medical English as parts of regular expressions: what people call symptoms, illnesses, medicines and relatives."""

from __future__ import annotations

import re


def any_of(words: str) -> str:
    """Alternatives between bars or on lines of their own, each a whole word."""
    alternatives = "|".join(line.strip() for line in words.strip().splitlines())
    return rf"\b(?:{alternatives})\b"


SYMPTOM_NAMES = any_of(r"""
    pains?|aches?|fevers?|chills|(?:night )?sweats|rigors|cough|phlegm|sputum|wheez(?:e|es|ing)|shortness of breath|breathlessness
    tightness|palpitations|nausea|vomiting|diarrh?o?ea|constipation|bloating|heartburn|reflux|indigestion|jaundice
    bleeding|blood(?![ -](?:pressures?|thinners?|tests?|sugars?|groups?|work|results?|types?|counts?|clots?|samples?|cultures?|cells?|glucose|levels?))|bruis(?:es|ing)|rash(?:es)?|itch(?:ing|iness)?|hives|lumps?|swelling|numbness|tingling|pins and needles|weakness
    dizziness|light-?headedness|vertigo|faint(?:ing|s)|blackouts|seizures?|headaches?|migraines?|blurr(?:ed|y) vision|double vision
    hearing loss|tinnitus|sore throat|runny nose|congestion|sneezing|hoarseness|earaches?|toothaches?|stiffness|cramp(?:s|ing)?|spasms?
    tremors?|fatigue|tiredness|weight (?:loss|gain)|loss of (?:appetite|weight|consciousness)|insomnia|discharge|incontinence|burning
    symptoms|(?:trouble|problems?|difficult(?:y|ies)|issues?)|suicidal thoughts
""")
SYMPTOM_VERBS = any_of(r"""
    cough(?:s|ed|ing)|vomit(?:s|ed)?|bleed(?:s)?|bled|hurts?|hurting|ach(?:ed|ing)|itch(?:es|ed)|burn(?:s|ed|t)|wheezed|faint(?:ed)?
    thr(?:ow|ew|owing)(?: \w+)? up|passed out|pass(?:ing)? out|collapsed|fell|swells?|throbb?(?:s|ing)
""")
SYMPTOM_QUALITIES = any_of(r"""
    painful|sore|achy|dizzy|light-?headed|faint|sick|nauseous|nauseated|tired|exhausted|weak|numb|swollen|tender|stiff|itchy|bloated|breathless
    short of breath|out of breath|feverish|feeling (?:hot|cold|unwell|ill)|constipated|bleeding|worse|unwell
""")
SYMPTOM = re.compile("|".join((SYMPTOM_NAMES, SYMPTOM_VERBS, SYMPTOM_QUALITIES)), re.IGNORECASE)
# what a symptom is named with: "chest pain", "bad headaches"
OF_A_SYMPTOM = any_of(r"""
    chest|back|neck|head|stomach|tummy|belly|abdominal|joint|muscle|knee|hip|leg|arm|calf|foot|ankle|hand|wrist|shoulder|ear|eye|throat|tooth|jaw|breast
    flank|groin|pelvic|period|rectal|vaginal|nasal|skin|left|right|lower|upper|bad|severe|sharp|dull|new|recent|other|unusual|sudden|night|hot|cold|dry
    heavy|bloody|urinary|sleep|breathing|real|actual|such|particular|significant
""")

DISEASES = any_of(r"""
    diabet(?:es|ic)|hypertension|(?:high |low )?blood pressure|(?:high )?cholesterol|asthma(?:tic)?|copd|emphysema|angina|strokes?|arrhythmia
    heart (?:attacks?|disease|failure|conditions?|murmur|problems?|trouble)|a(?:trial )?fib(?:rillation)?|cancers?|tumou?rs?|leuka?emia|lymphoma|melanoma
    kidney (?:disease|stones?|failure|problems?)|gall ?stones|liver (?:disease|problems?)|hepatitis|cirrhosis|thyroid(?: \w+)?|(?:hypo|hyper)thyroidism
    epilep(?:sy|tic)|arthritis|osteoporosis|gout|depression|bipolar(?: disorder)?|schizophrenia|ana?emi[ac]|glaucoma|crohn's(?: disease)?|colitis
    ibs|c(?:o)?eliac(?: disease)?|gerd|hiv|tuberculosis|blood clots?|dvt|pulmonary embolism|dementia|alzheimer's(?: disease)?
    parkinson's(?: disease)?|multiple sclerosis|lupus|psoriasis|eczema|sleep apn(?:o)?ea|sickle cell(?: \w+)?
""")

MEDICINE_ENDINGS = (
    "cillin|mycin|cycline|floxacin|prazole|tidine|sartan|statin|dipine|zosin|gliptin|gliflozin|glutide|oxetine|triptyline|zepam|zolam|triptan"
    "|parin|xaban|codone|morphone|methasone|solone|sonide|semide|thiazide|dronate|gabalin|tadine|(?:sin|mi|nala|ndo|pto|na|aze)pril|olol|pentin"
)
MEDICINES = any_of(rf"""
    tablets?|pills?|medications?|medicines?|meds|inhalers?|puffers?|vitamins?|supplements?|painkillers?|pain relief|antibiotics?|antidepressants?
    antihistamines?|blood thinners?|statins?|steroids?|eye drops|nasal spray|birth control|milligrams?|micrograms?|mg|mcg|\d+(?:mg|mcg)
    aspirin|paracetamol|acetaminophen|tylenol|ibuprofen|advil|motrin|naproxen|aleve|codeine|tramadol|morphine|insulin|warfarin|coumadin
    digoxin|lithium|(?:levo)?thyroxine|synthroid|prednisone|methotrexate|sertraline|(?:es)?citalopram|bupropion|metformin|glipizide
    clopidogrel|allopurinol|colchicine|albuterol|salbutamol|nitroglycerin|melatonin|meloxicam|lisinopril|\w{{2,}}(?:{MEDICINE_ENDINGS})
""")

BLOOD_RELATIVES = any_of(r"""
    mother|father|mum|mom|dad|brothers?|sisters?|parents?|siblings?|sons?|daughters?|children|kids|uncles?|aunts?|cousins?
    grand(?:mother|father|parents?|ma|pa|mum|mom|dad)|nan|granny
""")
IN_THE_FAMILY_AT_LARGE = re.compile(r"\bfamily (?:medical )?history\b|\bin (?:your|the) family\b", re.IGNORECASE)
OTHER_PEOPLE = re.compile(
    any_of(
        rf"{BLOOD_RELATIVES}|wife|husband|partner|girlfriend|boyfriend|friends?|roommate|flatmate|colleagues?|neighbou?rs?|family|nephew|niece"
        r"|he|he's|she|she's|his|her|him|hers|baby|somebody|someone|everyone"
    ),
    re.IGNORECASE,
)


def is_about_others(question: str) -> bool:
    """ "Does your son have allergies?"; what runs in the family is asked of the patient."""
    return bool(OTHER_PEOPLE.search(IN_THE_FAMILY_AT_LARGE.sub("", question)))
