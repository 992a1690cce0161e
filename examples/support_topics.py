"""What the support assistant of Larkhill, an invented outfitter, is asked about.

Plain data for `make_support_data.py`: things customers ask about, values that facts take, and for
every topic the wording of facts, questions and answers. In templates, `{thing}` is what is asked
about and `{value}` what is true of it. The last question and the last answer of every topic are
kept for the test split.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a fact can take.

    Attributes:
        fact: As the ground truth words it.
        same: As an answer may word it too; equal to `fact` where there is only one way.
    """

    fact: str
    same: str


@dataclass(frozen=True, slots=True)
class Things:
    """What questions of a kind are about; the test split asks about things never trained on."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """One matter that customers ask about.

    Attributes:
        name: For group names.
        things: What the facts are about.
        values: What the facts say.
        heading: Opens a list of facts.
        fact: One fact as a sentence.
        questions: The last one is for the test split only.
        answers: Without the thing's name; the last one is for the test split only.
        named: An answer that names the thing.
    """

    name: str
    things: Things
    values: tuple[Value, ...]
    heading: str
    fact: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    named: tuple[str, ...]


def _things(train: str, test: str) -> Things:
    return Things(tuple(train.split(", ")), tuple(test.split(", ")))


def _values(text: str) -> tuple[Value, ...]:
    """Reads `fact = same; fact; …`."""
    values = []
    for part in text.split("; "):
        fact, _, same = part.partition(" = ")
        values.append(Value(fact, same or fact))
    return tuple(values)


GEAR = _things(
    "tents, rucksacks, rain jackets, sleeping bags, hiking boots, camping stoves, head torches, "
    "kayaks, mountain bikes, wool socks, water filters, maps, fleece jackets, cool boxes, skis, "
    "climbing helmets, cycling gloves, binoculars, travel pillows, compasses",
    "hammocks, trekking poles, wetsuits, snowshoes, folding chairs, telescopes, fishing rods, "
    "picnic blankets, paddle boards, down vests, thermos flasks, sun hats",
)
COUNTRIES = _things(
    "France, Norway, Spain, Poland, Ireland, Italy, Canada, Finland, Greece, Austria, Denmark, "
    "Iceland, Belgium, Hungary, Croatia, Malta",
    "Portugal, Japan, Sweden, Switzerland, Estonia, Australia, Slovenia, Germany",
)
PLANS = _things(
    "Trail, Summit, Ridge, River, Forest, Valley, Compass, Lantern, Pioneer, Basecamp",
    "Meadow, Harbour, Glacier, Canyon, Skyline, Heath",
)
SHOPS = _things(
    "Leeds, York, Bath, Oxford, Cardiff, Bristol, Durham, Norwich, Exeter, Glasgow, Chester, "
    "Lincoln, Brighton",
    "Derby, Plymouth, Inverness, Swansea, Carlisle, Canterbury, Aberdeen",
)
COURSES = _things(
    "map reading, wild cooking, first aid, bike repair, bird watching, ice climbing, knot tying, "
    "sea kayaking, foraging, night hiking",
    "fly fishing, star gazing, rock climbing, trail running, winter camping, canoe building",
)

WEEKS = _values(
    "7 days = one week; 14 days = two weeks; 21 days = three weeks; 30 days = a month; "
    "60 days = two months; 90 days = three months; 10 days = ten days; 100 days = a hundred days"
)
WORKING_DAYS = _values(
    "1 working day = one working day; 2 working days = two working days; "
    "3 working days = three working days; 4 working days = four working days; "
    "5 working days = five working days; 6 working days = six working days; "
    "8 working days = eight working days; 10 working days = ten working days"
)
YEARS = _values(
    "12 months = one year; 24 months = two years; 36 months = three years; 48 months = four years; "
    "60 months = five years; 6 months = half a year; 10 years = a decade"
)
POUNDS = _values(
    "£3 = three pounds; £4 = four pounds; £5 = five pounds; £6 = six pounds; £8 = eight pounds; "
    "£9 = nine pounds; £10 = ten pounds; £12 = twelve pounds; £15 = fifteen pounds; "
    "£20 = twenty pounds; £25; £35; £45; £60"
)
PERCENT = _values(
    "5% = five per cent; 10% = ten per cent; 15% = fifteen per cent; 20% = a fifth; "
    "25% = a quarter; 30% = thirty per cent; 50% = half"
)
COUNTS = _values("1 = one; 2 = two; 3 = three; 4 = four; 5 = five; 6 = six; 8 = eight; 12 = twelve")
CLOCK = _values(
    "16:00 = four in the afternoon; 17:00 = five in the afternoon; 17:30 = half past five; "
    "18:00 = six in the evening; 18:30 = half past six; 19:00 = seven in the evening; "
    "20:00 = eight in the evening; 21:00 = nine in the evening"
)
WEEKDAYS = _values("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday")
MONTHS = _values(
    "January; February; March; April; May; June; July; August; September; October; November"
)
CARRIERS = _values("Swiftmail; Redpost; Parcelway; Bluebird; Northline; Kestrel Freight")
ROOMS = _values(
    "the old boathouse; the garden room; the loft; the workshop; the library; the roof terrace"
)
COLOURS = _values("green; navy blue; orange; grey; dark red; yellow; black")


TOPICS: tuple[Topic, ...] = (
    Topic(
        "returns",
        GEAR,
        WEEKS,
        "Return windows",
        "{Thing} may be returned within {value}.",
        (
            "How long do I have to send back {thing}?",
            "I changed my mind about my {thing}. Until when can I return them?",
            "What is the return window for {thing}?",
            "By when would you need my {thing} back for a refund?",
        ),
        (
            "You have {value} to send them back.",
            "You can return them within {value} of delivery.",
            "We take them back for {value}, for a full refund.",
            "Just post them to us within {value}.",
        ),
        ("{Thing} can come back to us within {value}.", "You have {value} to return {thing}."),
    ),
    Topic(
        "warranty",
        GEAR,
        YEARS,
        "Warranty",
        "{Thing} carry a warranty of {value}.",
        (
            "How long is the warranty on {thing}?",
            "My {thing} broke. How long are they under guarantee?",
            "For how long do you guarantee {thing}?",
            "If a seam goes, how long are {thing} covered?",
        ),
        (
            "They are guaranteed for {value}.",
            "The warranty runs for {value} from purchase.",
            "You are covered for {value}.",
            "Should anything fail within {value}, we put it right.",
        ),
        ("{Thing} are covered for {value}.", "We guarantee {thing} for {value}."),
    ),
    Topic(
        "repair-time",
        GEAR,
        WORKING_DAYS,
        "Workshop times",
        "Repairs of {thing} take {value}.",
        (
            "How long does it take to repair {thing}?",
            "If I bring in my {thing} for mending, when are they ready?",
            "What is the waiting time for fixing {thing}?",
            "I need my {thing} mended soon. How fast is the workshop?",
        ),
        (
            "The repair takes {value}.",
            "Our workshop needs {value} for that.",
            "They will be mended in {value}.",
            "Expect to have them back, good as new, after {value}.",
        ),
        ("Mending {thing} takes {value}.", "The workshop repairs {thing} in {value}."),
    ),
    Topic(
        "hire-price",
        GEAR,
        POUNDS,
        "Hire per day",
        "Hiring {thing} costs {value} a day.",
        (
            "What does it cost to hire {thing} for a day?",
            "I'd like to rent {thing}. What do you charge per day?",
            "How much are {thing} to hire?",
            "What's the daily rate if I borrow {thing} from you?",
        ),
        (
            "Hire is {value} a day.",
            "You can rent them for {value} per day.",
            "We charge {value} for each day.",
            "That comes to {value} daily.",
        ),
        ("{Thing} can be hired for {value} a day.", "The daily rate for {thing} is {value}."),
    ),
    Topic(
        "restock",
        GEAR,
        MONTHS,
        "Back in stock",
        "{Thing} are back in stock in {value}.",
        (
            "When will you have {thing} again?",
            "Your {thing} are sold out. When do you expect more?",
            "When are {thing} back in stock?",
            "How long until I can buy {thing} again?",
        ),
        (
            "We expect new stock in {value}.",
            "They will be back on the shelves in {value}.",
            "The next delivery arrives in {value}.",
            "Look out for them again in {value}.",
        ),
        ("{Thing} will be available again in {value}.", "New {thing} arrive in {value}."),
    ),
    Topic(
        "member-discount",
        GEAR,
        PERCENT,
        "Member discounts",
        "Members get {value} off {thing}.",
        (
            "As a member, what discount do I get on {thing}?",
            "How much cheaper are {thing} with a membership?",
            "What is the members' reduction on {thing}?",
            "I've joined the club. How much do I save on {thing}?",
        ),
        (
            "Members save {value}.",
            "Your membership takes {value} off the price.",
            "You get a discount of {value}.",
            "With your card the price drops by {value}.",
        ),
        ("Members save {value} on {thing}.", "{Thing} are {value} cheaper for members."),
    ),
    Topic(
        "colour",
        GEAR,
        COLOURS,
        "This season's colours",
        "{Thing} come in {value}.",
        (
            "Which colour do {thing} come in?",
            "What colour are your {thing} this season?",
            "In which colour can I get {thing}?",
            "I'd like to match my kit: what shade are the {thing}?",
        ),
        (
            "They come in {value}.",
            "This season they are {value}.",
            "We have them in {value}.",
            "You'll find them in {value} at the moment.",
        ),
        ("{Thing} are available in {value}.", "This season our {thing} are {value}."),
    ),
    Topic(
        "delivery-time",
        COUNTRIES,
        WORKING_DAYS,
        "Delivery times",
        "Parcels to {thing} take {value}.",
        (
            "How long does delivery to {thing} take?",
            "I live in {thing}. When will my parcel arrive?",
            "How many days until an order reaches {thing}?",
            "If I order today, how soon is it in {thing}?",
        ),
        (
            "Delivery takes {value}.",
            "Your parcel arrives within {value}.",
            "It will be with you in {value}.",
            "Please allow {value} for it to reach your door.",
        ),
        ("Orders reach {thing} in {value}.", "Delivery to {thing} takes {value}."),
    ),
    Topic(
        "postage",
        COUNTRIES,
        POUNDS,
        "Postage",
        "Postage to {thing} is {value}.",
        (
            "What does postage to {thing} cost?",
            "How much do you charge to ship to {thing}?",
            "What would I pay for delivery to {thing}?",
            "I'm in {thing}: how expensive is shipping?",
        ),
        (
            "Shipping costs {value}.",
            "Postage comes to {value}.",
            "You pay {value} for delivery.",
            "We add {value} at the checkout for that.",
        ),
        ("Shipping to {thing} costs {value}.", "Parcels to {thing} go for {value}."),
    ),
    Topic(
        "carrier",
        COUNTRIES,
        CARRIERS,
        "Carriers",
        "Parcels to {thing} go with {value}.",
        (
            "Which carrier brings parcels to {thing}?",
            "Who delivers my order in {thing}?",
            "Which company do you ship to {thing} with?",
            "Who will ring my doorbell in {thing}?",
        ),
        (
            "{value} will bring your parcel.",
            "We ship with {value}.",
            "Your order travels with {value}.",
            "Look out for the van of {value}.",
        ),
        ("In {thing} we deliver with {value}.", "{value} carries our parcels to {thing}."),
    ),
    Topic(
        "plan-price",
        PLANS,
        POUNDS,
        "Monthly price",
        "The {thing} plan costs {value} a month.",
        (
            "What does the {thing} plan cost?",
            "How much is {thing} per month?",
            "What would I pay monthly on the {thing} plan?",
            "Thinking of joining {thing}. What's the damage each month?",
        ),
        (
            "It costs {value} a month.",
            "You pay {value} every month.",
            "That plan is {value} per month.",
            "Your card is charged {value} monthly.",
        ),
        ("The {thing} plan is {value} a month.", "{Thing} members pay {value} monthly."),
    ),
    Topic(
        "plan-loans",
        PLANS,
        COUNTS,
        "Items on loan",
        "The {thing} plan allows {value} items on loan.",
        (
            "How many items can I borrow on the {thing} plan?",
            "With {thing}, how many loans may I have at once?",
            "What's the borrowing limit of the {thing} plan?",
            "I'm on {thing}. How much kit can I take out at a time?",
        ),
        (
            "The borrowing limit is {value}.",
            "You may borrow up to {value} at once.",
            "You can have {value} out on loan.",
            "Take up to {value} home at a time.",
        ),
        ("{Thing} members may borrow {value}.", "The {thing} plan lets you borrow {value}."),
    ),
    Topic(
        "closing-time",
        SHOPS,
        CLOCK,
        "Closing times",
        "The {thing} shop closes at {value}.",
        (
            "When does the {thing} shop close?",
            "How late is your {thing} branch open?",
            "Until what time can I visit you in {thing}?",
            "Can I still drop by after work in {thing}? When do you lock up?",
        ),
        (
            "We close at {value}.",
            "The doors stay open until {value}.",
            "You can visit us until {value}.",
            "Last customers leave at {value}.",
        ),
        ("Our {thing} shop is open until {value}.", "In {thing} we close at {value}."),
    ),
    Topic(
        "day-off",
        SHOPS,
        WEEKDAYS,
        "Closed all day",
        "The {thing} shop is closed on {value}.",
        (
            "On which day is the {thing} shop closed?",
            "Which day does your {thing} branch stay shut?",
            "When is the day off in {thing}?",
            "Any day I should avoid if I come to {thing}?",
        ),
        (
            "We are closed on {value}.",
            "The shop stays shut on {value}.",
            "Our day off is {value}.",
            "You'd find the door locked on {value}.",
        ),
        ("Our {thing} shop is shut on {value}.", "In {thing} we rest on {value}."),
    ),
    Topic(
        "course-price",
        COURSES,
        POUNDS,
        "Course fees",
        "The {thing} course costs {value}.",
        (
            "How much is the {thing} course?",
            "What's the fee for {thing}?",
            "What do I pay to join the {thing} class?",
            "I'd love to try {thing}. What would it set me back?",
        ),
        (
            "The fee is {value}.",
            "A place costs {value}.",
            "You can join for {value}.",
            "We ask {value} of every participant.",
        ),
        ("The {thing} course is {value}.", "A place in {thing} costs {value}."),
    ),
    Topic(
        "course-day",
        COURSES,
        WEEKDAYS,
        "Course days",
        "The {thing} course meets on {value}.",
        (
            "On which day is the {thing} course?",
            "When does the {thing} class meet?",
            "Which day do you teach {thing}?",
            "I work shifts. What day of the week is {thing}?",
        ),
        (
            "The group meets on {value}.",
            "It is held every {value}.",
            "Lessons are on {value}.",
            "Keep your {value} free for it.",
        ),
        ("The {thing} course is on {value}.", "We teach {thing} every {value}."),
    ),
    Topic(
        "course-room",
        COURSES,
        ROOMS,
        "Where courses meet",
        "The {thing} course is held in {value}.",
        (
            "Where is the {thing} course held?",
            "In which room do you teach {thing}?",
            "Where do I go for the {thing} class?",
            "I'm booked on {thing}. Where should I turn up?",
        ),
        (
            "You'll meet in {value}.",
            "The class takes place in {value}.",
            "Please come to {value}.",
            "Your teacher waits for you in {value}.",
        ),
        ("The {thing} course takes place in {value}.", "We teach {thing} in {value}."),
    ),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A matter that is allowed for some things and not for others.

    Attributes:
        name: For group names.
        things: What the rule is about.
        allowed: The fact where it is allowed, as sentences.
        refused: The fact where it is not.
        questions: The last one is for the test split only.
        yes: Answers where it is allowed; the last one is for the test split only.
        no: Answers where it is not; the last one is for the test split only.
    """

    name: str
    things: Things
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    questions: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]


RULES: tuple[Rule, ...] = (
    Rule(
        "used-returns",
        GEAR,
        ("{Thing} can be returned after use.", "We take back used {thing}."),
        ("{Thing} can't be returned after use.", "We don't take back used {thing}."),
        (
            "I've used my {thing} once. Can I still return them?",
            "Do you take back {thing} that were worn or used?",
            "Can used {thing} be sent back?",
            "My {thing} have seen one muddy weekend. May I give them back?",
        ),
        (
            "Yes, you can send them back even after use.",
            "Yes, used ones are fine, we take them back.",
            "They can be returned used, no problem.",
            "Of course, a bit of wear doesn't matter to us.",
        ),
        (
            "No, once used they can't come back.",
            "I'm afraid we don't take them back after use.",
            "Sorry, only unused ones can be returned.",
            "Unfortunately any wear means they stay with you.",
        ),
    ),
    Rule(
        "gift-wrap",
        GEAR,
        ("{Thing} can be gift-wrapped.", "We offer gift-wrapping for {thing}."),
        ("{Thing} can't be gift-wrapped.", "We don't offer gift-wrapping for {thing}."),
        (
            "Can you gift-wrap {thing}?",
            "The {thing} are a present. Do you wrap them?",
            "Is gift paper available for {thing}?",
            "It's my sister's birthday: could the {thing} come wrapped?",
        ),
        (
            "Yes, we can wrap them for you.",
            "Gladly, gift paper is available for those.",
            "Yes, choose gift-wrap at the checkout.",
            "Certainly, ribbon included.",
        ),
        (
            "No, we can't wrap those.",
            "Sorry, gift paper isn't available for them.",
            "I'm afraid we don't gift-wrap these.",
            "Regrettably they only travel in plain cardboard.",
        ),
    ),
    Rule(
        "washing",
        GEAR,
        ("{Thing} may be machine washed.", "It is safe to machine wash {thing}."),
        ("{Thing} must not be machine washed.", "It isn't safe to machine wash {thing}."),
        (
            "Can I put my {thing} in the washing machine?",
            "Are {thing} machine washable?",
            "My {thing} are dirty. Is the washing machine safe?",
            "After a wet week my {thing} smell. Would a spin in the machine hurt?",
        ),
        (
            "Yes, the machine is fine.",
            "You can wash them in the machine.",
            "Yes, machine washing is safe.",
            "Go ahead, a gentle cycle does them good.",
        ),
        (
            "No, please keep them out of the machine.",
            "Sorry, machine washing would ruin them.",
            "Please wash them by hand instead.",
            "Better not: only a damp cloth, please.",
        ),
    ),
    Rule(
        "home-delivery",
        COUNTRIES,
        ("We deliver to {thing}.", "{Thing} is on our list of destinations."),
        ("We don't deliver to {thing}.", "{Thing} isn't on our list of destinations."),
        (
            "Do you deliver to {thing}?",
            "Can I have an order sent to {thing}?",
            "I live in {thing}. Can I order from you?",
            "Would a parcel make it to my aunt in {thing}?",
        ),
        (
            "Yes, we deliver there.",
            "You can, we ship to that country.",
            "Yes, orders from there are welcome.",
            "Happily, we send parcels there every day.",
        ),
        (
            "No, we don't deliver there.",
            "Sorry, we can't ship to that country.",
            "I'm afraid orders from there aren't possible.",
            "Regrettably our parcels don't travel that far.",
        ),
    ),
    Rule(
        "invoice",
        COUNTRIES,
        ("Customers in {thing} may pay by invoice.", "Invoices are accepted in {thing}."),
        ("Customers in {thing} can't pay by invoice.", "Invoices aren't accepted in {thing}."),
        (
            "Can I pay by invoice in {thing}?",
            "I live in {thing}. Do you send invoices?",
            "Is paying on account possible from {thing}?",
            "May I settle up after the parcel reaches me in {thing}?",
        ),
        (
            "Yes, paying by invoice is possible.",
            "You can choose invoice at the checkout.",
            "Yes, pay once the goods have arrived.",
            "Certainly, settle the bill within the usual time.",
        ),
        (
            "No, an invoice isn't possible there.",
            "Sorry, we need a card payment.",
            "I'm afraid you have to pay in advance.",
            "Regrettably the bill is due before we send anything.",
        ),
    ),
    Rule(
        "plan-sharing",
        PLANS,
        (
            "The {thing} plan can be shared with family.",
            "The {thing} plan covers the whole family.",
        ),
        ("The {thing} plan can't be shared with family.", "The {thing} plan covers one person."),
        (
            "Can I share the {thing} plan with my family?",
            "Does {thing} cover my children too?",
            "Is the {thing} membership valid for my partner?",
            "We're four at home. Could we all use one {thing} card?",
        ),
        (
            "Yes, your family can use it too.",
            "Yes, it may be shared at home.",
            "It covers everyone in the family.",
            "By all means, everyone at home is welcome on it.",
        ),
        (
            "No, it's for you alone.",
            "I'm afraid it can't be shared.",
            "Sorry, it's valid for one person only.",
            "Regrettably each of you needs one of your own.",
        ),
    ),
    Rule(
        "plan-cancelling",
        PLANS,
        (
            "The {thing} plan can be cancelled at any time.",
            "{Thing} members may leave whenever they like.",
        ),
        (
            "The {thing} plan can't be cancelled during the year.",
            "{Thing} members are bound for the year.",
        ),
        (
            "Can I cancel the {thing} plan any time?",
            "I'd like to leave {thing} early. Is that possible?",
            "May I end my {thing} membership next month?",
            "Money is tight: could I drop out of {thing} now?",
        ),
        (
            "Yes, you can cancel whenever you like.",
            "You may leave at any time.",
            "Yes, ending it early is possible.",
            "No strings attached, one click and you are out.",
        ),
        (
            "No, it runs for the whole year.",
            "Sorry, you can't cancel early.",
            "I'm afraid you are bound until the year is over.",
            "Regrettably we have to hold you to the full term.",
        ),
    ),
    Rule(
        "dogs",
        SHOPS,
        ("Dogs are welcome in the {thing} shop.", "The {thing} shop lets dogs in."),
        ("Dogs aren't allowed in the {thing} shop.", "The {thing} shop doesn't let dogs in."),
        (
            "Can I bring my dog to the {thing} shop?",
            "Are dogs allowed in your {thing} branch?",
            "Is the shop in {thing} dog-friendly?",
            "We'd visit you in {thing} with our old spaniel. Is that fine?",
        ),
        (
            "Yes, dogs are welcome.",
            "Of course, bring your dog along.",
            "Yes, four-legged visitors may come in.",
            "Please do, there's a water bowl by the door.",
        ),
        (
            "No, dogs have to stay outside.",
            "Sorry, dogs aren't allowed in.",
            "I'm afraid four-legged visitors must wait outside.",
            "Please leave your companion at home this time.",
        ),
    ),
    Rule(
        "parking",
        SHOPS,
        ("The {thing} shop has a car park.", "There is parking at the {thing} shop."),
        ("The {thing} shop has no car park.", "There is no parking at the {thing} shop."),
        (
            "Can I park at the {thing} shop?",
            "Does your {thing} branch have a car park?",
            "Is there parking in {thing}?",
            "I'm driving over to {thing}. Is there a space for my van?",
        ),
        (
            "Yes, you can park right here.",
            "There is parking behind the shop.",
            "Yes, we have our own car park.",
            "Plenty of room, just follow the signs.",
        ),
        (
            "No, there's no parking here.",
            "Sorry, we don't have a car park.",
            "I'm afraid you can't park at the shop.",
            "Better take the bus, the street is too narrow.",
        ),
    ),
    Rule(
        "beginners",
        COURSES,
        (
            "The {thing} course is open to beginners.",
            "No experience is needed for {thing}.",
        ),
        (
            "The {thing} course isn't open to beginners.",
            "Experience is required for {thing}.",
        ),
        (
            "Can beginners join the {thing} course?",
            "I have no experience. May I sign up for {thing}?",
            "Is {thing} suitable for a first-timer?",
            "I've never done it before: is {thing} for me?",
        ),
        (
            "Yes, beginners are welcome.",
            "You can join without any experience.",
            "Yes, it starts from the very basics.",
            "Absolutely, everyone there starts from nothing.",
        ),
        (
            "No, you need experience for it.",
            "Sorry, it isn't meant for beginners.",
            "I'm afraid it assumes you know the basics.",
            "Better wait: the others have done this for years.",
        ),
    ),
    Rule(
        "equipment",
        COURSES,
        (
            "Equipment is provided on the {thing} course.",
            "We lend out the kit for {thing}.",
        ),
        (
            "Equipment isn't provided on the {thing} course.",
            "We don't lend out the kit for {thing}.",
        ),
        (
            "Do you provide the equipment for {thing}?",
            "Is kit included in the {thing} course?",
            "Can I borrow equipment for the {thing} class?",
            "I own nothing for {thing}. Will you lend me what I need?",
        ),
        (
            "Yes, all equipment is included.",
            "We lend you the kit for the day.",
            "Yes, everything you need is provided.",
            "Just come as you are, it's all laid out for you.",
        ),
        (
            "No, please bring your own equipment.",
            "Sorry, kit isn't included.",
            "I'm afraid we have none to lend.",
            "You would have to buy or hire it beforehand.",
        ),
    ),
)
