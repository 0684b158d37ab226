"""The products of the demo campaign, by SKU.

Knows their names, and how each is lit and framed.
"""

from campaigns.demo.packshot.products import care, drinks, kitchen
from campaigns.demo.packshot.scene import Product, Shot

PRODUCTS = [
    Product(
        "SODA-YUZU-330",
        "Yuzu soda, 330 ml",
        drinks.soda_can,
        Shot(17.0, 5.7, (0.60, 0.47, 0.62), elevation_deg=7, key=0.72),
        with_mask=False,
    ),
    Product(
        "MUG-ENAMEL-MUSTARD",
        "Enamel mug, mustard",
        kitchen.enamel_mug,
        Shot(15.5, 3.9, elevation_deg=14, aim_x=0.9, cutout=True),
    ),
    Product(
        "JAM-RASPBERRY-340",
        "Raspberry jam, 340 g",
        kitchen.jam_jar,
        Shot(15.0, 5.0, (0.66, 0.60, 0.47), elevation_deg=6, key=0.72),
    ),
    Product(
        "TEA-TIN-JASMINE",
        "Jasmine green tea, tin, 100 g",
        kitchen.tea_tin,
        Shot(18.5, 6.1, (0.62, 0.50, 0.43), elevation_deg=10, key=0.9),
    ),
    Product(
        "OAT-DRINK-1L",
        "Oat drink, carton, 1 liter",
        drinks.oat_carton,
        Shot(25.0, 12.0, (0.55, 0.66, 0.72), elevation_deg=8, distance=130, size=(1200, 1500), key=0.8),
        with_mask=False,
    ),
    Product(
        "OLIVE-OIL-500",
        "Extra virgin olive oil, 500 ml",
        drinks.olive_oil,
        Shot(26.5, 13.3, (0.70, 0.66, 0.58), elevation_deg=4, distance=130, size=(1200, 1500), key=0.85),
    ),
    Product(
        "HAND-CREAM-75",
        "Hand cream, oat and elderflower, 75 ml",
        care.hand_cream,
        Shot(19.0, 7.2, (0.60, 0.64, 0.56), elevation_deg=6, key=0.85),
    ),
    Product(
        "HAND-WASH-300",
        "Hand wash, sage and sea salt, 300 ml",
        care.hand_wash,
        Shot(21.5, 9.0, (0.66, 0.68, 0.66), elevation_deg=5, distance=110, key=0.85),
    ),
    Product(
        "CANDLE-FIG",
        "Scented candle, fig and cedar",
        care.candle,
        Shot(15.5, 4.4, (0.62, 0.52, 0.44), elevation_deg=9, key=0.8),
    ),
    Product(
        "STACKER-BEECH", "Stacking rings, painted beech", care.stacker, Shot(19.0, 7.4, elevation_deg=13, cutout=True)
    ),
]
