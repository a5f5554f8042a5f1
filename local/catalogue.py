"""A sample shop: three warehouses and the things that a good kitchen and a long weekend need.

Plain data. Weights are grams and sizes millimetres of one packed unit, prices US cents before tax.
"""

from dataclasses import dataclass

CURRENCY = "USD"


@dataclass(frozen=True)
class SampleSku:
    """One item; `size` is length, width, height. `places` are the codes of the warehouses that stock it."""

    sku: str
    name: str
    grams: int
    size: tuple[int, int, int]
    price: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class SampleWarehouse:
    """A place that ships. The warehouse with the smaller `priority` is asked first."""

    code: str
    name: str
    street: str
    city: str
    state: str
    postal_code: str
    phone: str
    priority: int
    country: str = "US"


WAREHOUSES = (
    SampleWarehouse("EDI", "Edison", "110 Raritan Center Pkwy", "Edison", "NJ", "08837", "+1 732 555 0110", 10),
    SampleWarehouse("RNO", "Reno", "9460 N Virginia St", "Reno", "NV", "89506", "+1 775 555 0124", 20),
    SampleWarehouse("DFW", "Dallas", "4401 W Mockingbird Ln", "Dallas", "TX", "75209", "+1 214 555 0137", 30),
)

EVERYWHERE = ("EDI", "RNO", "DFW")
COASTS = ("EDI", "RNO")
EAST = ("EDI", "DFW")
WEST = ("RNO", "DFW")
EDISON = ("EDI",)
RENO = ("RNO",)

ON_ITS_WAY = SampleSku("COF-GRINDER-X1", "Hand grinder X1, second batch", 720, (200, 90, 90), 12900, ("DFW",))
"""sold out: all of it travels from its place to the first warehouse, and is promised meanwhile"""

SKUS = (
    SampleSku("COF-KETTLE-09", "Gooseneck kettle 0.9 l, matt black", 1180, (300, 210, 190), 6900, EVERYWHERE),
    SampleSku("COF-KETTLE-12", "Gooseneck kettle 1.2 l, steel", 1340, (320, 220, 200), 7900, COASTS),
    SampleSku("COF-DRIP-V1", "Ceramic dripper, one cup", 420, (140, 130, 110), 2400, EVERYWHERE),
    SampleSku("COF-DRIP-V2", "Ceramic dripper, two cups", 560, (160, 150, 120), 2900, EVERYWHERE),
    SampleSku("COF-FILT-100", "Paper filters, 100 pieces", 180, (170, 130, 60), 850, EVERYWHERE),
    SampleSku("COF-GRIND-M", "Hand grinder, steel burrs", 690, (210, 90, 90), 11900, COASTS),
    SampleSku("COF-GRIND-E", "Electric grinder, 31 settings", 2650, (380, 240, 190), 18900, EDISON),
    SampleSku("COF-SCALE", "Brewing scale with timer", 480, (190, 160, 50), 5500, EVERYWHERE),
    SampleSku("COF-SERVER-6", "Glass server 600 ml", 390, (160, 160, 150), 2700, COASTS),
    SampleSku("COF-PRESS-8", "French press, 8 cups", 980, (270, 190, 130), 4400, EAST),
    SampleSku("COF-MOKA-6", "Moka pot, 6 cups", 820, (230, 180, 120), 3900, EVERYWHERE),
    SampleSku("COF-BEAN-ETH", "Beans, Ethiopia Guji, 340 g", 370, (200, 110, 70), 1950, EVERYWHERE),
    SampleSku("COF-BEAN-COL", "Beans, Colombia Huila, 340 g", 370, (200, 110, 70), 1750, EVERYWHERE),
    SampleSku("COF-BEAN-DEC", "Beans, decaf Sumatra, 340 g", 370, (200, 110, 70), 1850, COASTS),
    SampleSku("TEA-POT-IRON", "Cast-iron teapot 0.8 l", 1720, (210, 190, 150), 8400, RENO),
    SampleSku("TEA-POT-GLASS", "Glass teapot with strainer 1 l", 610, (220, 180, 150), 3600, EVERYWHERE),
    SampleSku("TEA-SENCHA", "Sencha, loose, 100 g", 130, (150, 90, 60), 1450, EVERYWHERE),
    SampleSku("TEA-OOLONG", "Tie Guan Yin oolong, 100 g", 130, (150, 90, 60), 2200, COASTS),
    SampleSku("TEA-EARL", "Earl Grey, loose, 200 g", 230, (160, 100, 80), 1300, EVERYWHERE),
    SampleSku("CUP-STONE-2", "Stoneware cups, set of 2", 720, (240, 130, 110), 3200, EVERYWHERE),
    SampleSku("CUP-ESPR-4", "Espresso cups, set of 4", 860, (220, 180, 90), 3800, EAST),
    SampleSku("CUP-TRAVEL", "Travel mug 350 ml, vacuum", 330, (210, 80, 80), 2950, EVERYWHERE),
    SampleSku("KIT-PAN-24", "Carbon-steel pan 24 cm", 1540, (440, 260, 70), 5900, COASTS),
    SampleSku("KIT-PAN-28", "Carbon-steel pan 28 cm", 1980, (500, 300, 80), 6900, EAST),
    SampleSku("KIT-POT-5", "Enamelled casserole 5 l", 5400, (340, 290, 210), 18900, EDISON),
    SampleSku("KIT-WOK-32", "Wok 32 cm with lid", 2350, (540, 340, 140), 7400, WEST),
    SampleSku("KIT-KNIFE-CH", "Chef's knife 20 cm", 310, (380, 80, 40), 9900, EVERYWHERE),
    SampleSku("KIT-KNIFE-PA", "Paring knife 9 cm", 110, (250, 70, 30), 3400, EVERYWHERE),
    SampleSku("KIT-KNIFE-BR", "Bread knife 25 cm", 290, (430, 80, 40), 6400, COASTS),
    SampleSku("KIT-STONE", "Whetstone 1000/6000", 980, (220, 90, 60), 4900, WEST),
    SampleSku("KIT-BOARD-M", "Walnut board, medium", 1650, (400, 280, 40), 7200, EVERYWHERE),
    SampleSku("KIT-BOARD-L", "Walnut board, large", 2900, (520, 360, 50), 10900, EDISON),
    SampleSku("KIT-BOWL-3", "Mixing bowls, set of 3", 1240, (310, 310, 150), 4500, EVERYWHERE),
    SampleSku("KIT-SCALE-5", "Kitchen scale up to 5 kg", 560, (240, 190, 50), 2900, EVERYWHERE),
    SampleSku("KIT-THERM", "Instant-read thermometer", 90, (190, 70, 40), 3900, EVERYWHERE),
    SampleSku("KIT-PEEL", "Y peelers, pack of 3", 120, (170, 90, 40), 1400, EVERYWHERE),
    SampleSku("KIT-WHISK", "Balloon whisk 28 cm", 170, (310, 90, 80), 1800, COASTS),
    SampleSku("KIT-SPAT", "Silicone spatulas, set of 3", 240, (300, 110, 40), 1950, EVERYWHERE),
    SampleSku("KIT-TOWEL", "Linen tea towels, set of 2", 260, (250, 200, 40), 2600, EVERYWHERE),
    SampleSku("KIT-APRON", "Waxed-cotton apron", 640, (330, 260, 50), 6200, WEST),
    SampleSku("BAK-SHEET-2", "Baking sheets, set of 2", 1860, (470, 340, 40), 4200, EAST),
    SampleSku("BAK-STEEL", "Pizza steel 6 mm", 7200, (420, 370, 30), 9900, EDISON),
    SampleSku("BAK-BANNET", "Proofing basket, round", 360, (250, 250, 90), 2300, EVERYWHERE),
    SampleSku("BAK-LAME", "Bread lame with 5 blades", 80, (190, 60, 30), 1600, EVERYWHERE),
    SampleSku("OUT-STOVE", "Folding gas stove", 320, (130, 110, 90), 5400, WEST),
    SampleSku("OUT-POT-1", "Titanium pot 0.9 l", 190, (150, 140, 130), 6400, RENO),
    SampleSku("OUT-SPORK", "Titanium spork, pack of 2", 60, (190, 60, 30), 2100, EVERYWHERE),
    SampleSku("OUT-BOTTLE-1", "Steel bottle 1 l", 420, (300, 90, 90), 3500, EVERYWHERE),
    SampleSku("OUT-FLASK-05", "Vacuum flask 0.5 l", 380, (250, 80, 80), 3300, COASTS),
    SampleSku("OUT-LAMP", "Head torch, rechargeable", 140, (120, 100, 70), 4800, EVERYWHERE),
    SampleSku("OUT-HAMMOCK", "Hammock with straps", 890, (240, 150, 130), 7900, WEST),
    SampleSku("OUT-BLANKET", "Wool blanket 130 x 190 cm", 1480, (380, 300, 140), 8900, EAST),
    SampleSku("OUT-FIRST", "First-aid kit, 74 parts", 520, (230, 160, 80), 3200, EVERYWHERE),
    SampleSku("OUT-KNIFE", "Folding knife, ash handle", 110, (140, 60, 40), 4600, EVERYWHERE),
    SampleSku("GIFT-BOX-S", "Gift box with ribbon, small", 210, (240, 180, 100), 600, EVERYWHERE),
    SampleSku("GIFT-CARD", "Greeting card, letterpress", 30, (180, 130, 10), 500, EVERYWHERE),
)
