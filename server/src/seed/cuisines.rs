//! Kinds of restaurant, with the names they like to take and the menus they serve.

/// A kind of restaurant.
pub(super) struct Cuisine {
    pub(super) kind: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) dishes: &'static [Dish],
}

/// A menu as an ordinary restaurant of its kind prices it.
pub(super) struct Dish {
    pub(super) name: &'static str,
    pub(super) cents: u32,
    pub(super) description: &'static str,
}

const fn dish(name: &'static str, cents: u32, description: &'static str) -> Dish {
    Dish {
        name,
        cents,
        description,
    }
}

/// What French people have delivered, a dish a line.
#[rustfmt::skip]
pub(super) const CUISINES: &[Cuisine] = &[
    Cuisine {
        kind: "pizzeria",
        names: &["Bella Napoli", "Chez Luigi", "La Bonne Pâte", "Pizzeria du Marché", "Le Four à Bois", "Il Vesuvio"],
        dishes: &[
            dish("Pizza Margherita", 990, "Tomate, mozzarella, basilic frais"),
            dish("Pizza Reine", 1190, "Tomate, mozzarella, jambon, champignons"),
            dish("Pizza Quatre Fromages", 1290, "Mozzarella, chèvre, bleu, emmental"),
            dish("Pizza Savoyarde", 1390, "Crème, reblochon, lardons, pommes de terre"),
            dish("Calzone", 1290, "Soufflée au jambon, œuf et mozzarella"),
            dish("Menu pizza et tiramisu", 1690, "Une pizza au choix, un tiramisu, une boisson"),
        ],
    },
    Cuisine {
        kind: "japonais",
        names: &["Sushi Sakura", "Le Jardin de Kyoto", "Tokyo Bento", "Yuki Sushi", "Maison Wasabi", "Hanami"],
        dishes: &[
            dish("Menu sushi", 1890, "Douze sushis, soupe miso, salade de choux"),
            dish("Menu maki", 1390, "Dix-huit makis saumon, thon et avocat, soupe miso"),
            dish("Menu brochettes", 1490, "Cinq brochettes, riz, soupe miso"),
            dish("Chirashi saumon", 1690, "Saumon frais sur riz vinaigré"),
            dish("Plateau sashimi", 2290, "Dix-huit tranches de saumon, thon et daurade"),
            dish("Ramen au porc", 1450, "Bouillon, nouilles, porc laqué, œuf mollet"),
        ],
    },
    Cuisine {
        kind: "bistrot",
        names: &["Le Bistrot", "Le Bistrot de la Gare", "Chez Marcel", "Au Bon Coin", "La Table de Jeanne", "Le Petit Zinc"],
        dishes: &[
            dish("Menu du jour", 1690, "Plat du jour et dessert du chef"),
            dish("Steak frites", 1590, "Bavette à l'échalote, frites maison"),
            dish("Bœuf bourguignon", 1790, "Mijoté au vin rouge, carottes et lardons"),
            dish("Confit de canard", 1890, "Cuisse confite, pommes sarladaises"),
            dish("Blanquette de veau", 1750, "À l'ancienne, riz et champignons"),
            dish("Salade de chèvre chaud", 1350, "Toasts de chèvre, miel, noix"),
        ],
    },
    Cuisine {
        kind: "crêperie",
        names: &["La Crêperie Bretonne", "Ty Breizh", "Le Blé Noir", "Chez Gwenola", "La Bolée", "Au Sarrasin"],
        dishes: &[
            dish("Galette complète", 890, "Œuf, jambon, emmental"),
            dish("Galette forestière", 1090, "Champignons, crème, lardons"),
            dish("Galette au saumon", 1250, "Saumon fumé, crème ciboulette"),
            dish("Crêpe au caramel", 590, "Caramel au beurre salé"),
            dish("Menu galette et crêpe", 1490, "Une galette complète, une crêpe, une bolée de cidre"),
        ],
    },
    Cuisine {
        kind: "libanais",
        names: &["Le Cèdre", "Beyrouth Traiteur", "Saveurs du Liban", "Chez Fairouz", "L'Étoile de Byblos", "Mezzé & Cie"],
        dishes: &[
            dish("Assiette de mezzés", 1490, "Houmous, taboulé, caviar d'aubergine, feuilles de vigne"),
            dish("Sandwich falafel", 750, "Falafels, crudités, sauce au sésame"),
            dish("Chawarma poulet", 850, "Poulet mariné, crème d'ail, pickles"),
            dish("Assiette chich taouk", 1590, "Brochettes de poulet, riz, houmous"),
            dish("Menu libanais", 1850, "Quatre mezzés, une grillade, un baklava"),
        ],
    },
    Cuisine {
        kind: "burger",
        names: &["Le Comptoir du Burger", "Chez Gaston", "Bun & Comté", "La Burgerie", "Le Grand Steak", "L'Atelier du Burger"],
        dishes: &[
            dish("Menu burger classique", 1290, "Bœuf, cheddar, frites, boisson"),
            dish("Menu burger savoyard", 1490, "Bœuf, raclette, oignons confits, frites, boisson"),
            dish("Menu burger poulet", 1250, "Poulet croustillant, frites, boisson"),
            dish("Menu burger végétarien", 1350, "Galette de légumes, chèvre, frites, boisson"),
            dish("Double burger", 1390, "Deux steaks, deux tranches de comté"),
            dish("Menu enfant", 790, "Petit burger, frites, compote"),
        ],
    },
    Cuisine {
        kind: "indien",
        names: &["Le Taj Mahal", "Palais du Rajasthan", "Bombay Palace", "Saveurs de l'Inde", "Le Pendjab", "Jaipur"],
        dishes: &[
            dish("Poulet tikka massala", 1350, "Poulet grillé, sauce tomate épicée, riz basmati"),
            dish("Agneau korma", 1490, "Agneau, crème, amandes, riz basmati"),
            dish("Biryani aux légumes", 1190, "Riz parfumé, légumes, raïta"),
            dish("Palak paneer", 1150, "Épinards et fromage frais, riz basmati"),
            dish("Menu thali", 1690, "Trois currys, riz, naan au fromage, dessert"),
        ],
    },
    Cuisine {
        kind: "vietnamien",
        names: &["Le Petit Saïgon", "Pho Hanoï", "Le Lotus Bleu", "Baguettes d'Annam", "La Rivière des Parfums", "Chez Linh"],
        dishes: &[
            dish("Bo bun", 1190, "Bœuf sauté, vermicelles, nems, cacahuètes"),
            dish("Pho au bœuf", 1290, "Bouillon parfumé, pâtes de riz, bœuf émincé"),
            dish("Banh mi", 790, "Baguette, porc laqué, carottes, coriandre"),
            dish("Nems au poulet", 690, "Quatre pièces, salade et menthe"),
            dish("Menu rouleaux et bo bun", 1550, "Deux rouleaux de printemps, un bo bun"),
        ],
    },
    Cuisine {
        kind: "boulangerie",
        names: &["Au Pain Doré", "Boulangerie du Centre", "La Mie du Coin", "Le Fournil de Léon", "Maison Lefèvre", "L'Épi d'Or"],
        dishes: &[
            dish("Formule sandwich", 890, "Jambon-beurre, pâtisserie, boisson"),
            dish("Formule quiche", 950, "Quiche lorraine, salade, boisson"),
            dish("Croque-monsieur", 590, "Jambon, emmental, béchamel"),
            dish("Petit déjeuner", 750, "Croissant, pain au chocolat, jus d'orange, café"),
            dish("Tarte aux pommes", 1490, "Pour quatre à six personnes"),
            dish("Salade niçoise", 920, "Thon, œuf, olives, haricots verts"),
        ],
    },
    Cuisine {
        kind: "marocain",
        names: &["Le Couscous d'Or", "La Médina", "Chez Fatima", "Le Riad", "L'Oasis", "Les Délices de Fès"],
        dishes: &[
            dish("Couscous poulet", 1450, "Semoule, légumes, pois chiches, poulet"),
            dish("Couscous royal", 1950, "Agneau, poulet, merguez, légumes"),
            dish("Couscous merguez", 1390, "Semoule, légumes, quatre merguez"),
            dish("Tajine d'agneau aux pruneaux", 1690, "Agneau confit, pruneaux, amandes"),
            dish("Pastilla au poulet", 1290, "Feuilleté sucré-salé, amandes, cannelle"),
        ],
    },
    Cuisine {
        kind: "kebab",
        names: &["Istanbul Grill", "Le Bosphore", "Chez Mehmet", "Anatolie", "Le Sultan", "L'Ottoman"],
        dishes: &[
            dish("Kebab", 850, "Pain maison, veau et dinde, crudités"),
            dish("Menu kebab", 1090, "Un kebab, frites, boisson"),
            dish("Assiette kebab", 1290, "Viande, frites, salade, sauce blanche"),
            dish("Galette dürüm", 890, "Galette roulée, viande, crudités"),
            dish("Menu tacos", 1150, "Deux viandes, sauce fromagère, frites, boisson"),
        ],
    },
    Cuisine {
        kind: "chinois",
        names: &["Le Dragon d'Or", "La Grande Muraille", "Jardin de Jade", "Le Mandarin", "Palais de Pékin", "Le Bambou"],
        dishes: &[
            dish("Menu canard laqué", 1590, "Canard laqué, riz cantonais, nougat"),
            dish("Poulet aux noix de cajou", 1090, "Poulet sauté, poivrons, riz blanc"),
            dish("Porc au caramel", 990, "Porc fondant, riz blanc"),
            dish("Plateau de vapeurs", 1290, "Douze bouchées à la vapeur"),
            dish("Nouilles sautées aux crevettes", 1150, "Nouilles, crevettes, légumes croquants"),
        ],
    },
    Cuisine {
        kind: "thaïlandais",
        names: &["Le Siam", "Bangkok Café", "Thaï Basilic", "La Perle de Phuket", "Chiang Maï", "Le Tuk-Tuk"],
        dishes: &[
            dish("Pad thaï aux crevettes", 1390, "Nouilles de riz, crevettes, cacahuètes"),
            dish("Curry vert au poulet", 1350, "Lait de coco, basilic thaï, riz"),
            dish("Bœuf au basilic", 1390, "Bœuf sauté, piment doux, riz"),
            dish("Soupe tom yam", 950, "Crevettes, citronnelle, galanga"),
            dish("Riz gluant à la mangue", 690, "Mangue fraîche, lait de coco"),
        ],
    },
    Cuisine {
        kind: "végétarien",
        names: &["La Carotte Joyeuse", "Le Potager", "Graines & Compagnie", "Vert Tendre", "L'Arrosoir", "Le Bol Vert"],
        dishes: &[
            dish("Bol de saison", 1290, "Céréales, légumes rôtis, houmous, graines"),
            dish("Lasagnes aux légumes", 1190, "Courgettes, épinards, ricotta"),
            dish("Dahl de lentilles corail", 1090, "Lentilles, lait de coco, riz"),
            dish("Tarte du potager", 990, "Légumes du marché, salade verte"),
            dish("Menu végétarien", 1590, "Soupe, bol de saison, dessert"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_cuisine_offers_several_different_menus_at_believable_prices() {
        for Cuisine {
            kind,
            names,
            dishes,
        } in CUISINES
        {
            assert!(names.len() >= 5, "{kind}");
            assert!(dishes.len() >= 5, "{kind}");
            let different: HashSet<_> = dishes.iter().map(|dish| dish.name).collect();
            assert_eq!(different.len(), dishes.len(), "{kind}");
            for dish in *dishes {
                assert!((500..=2_500).contains(&dish.cents), "{kind}: {}", dish.name);
                assert!(dish.cents % 10 == 0, "{kind}: {}", dish.name);
            }
        }
    }

    #[test]
    fn no_name_is_written_in_english() {
        let english = [
            "chicken", "beef", "the", "with", "house", "cheese", "kitchen", "delivery",
        ];
        for cuisine in CUISINES {
            let dishes = cuisine
                .dishes
                .iter()
                .flat_map(|dish| [dish.name, dish.description]);
            for text in cuisine.names.iter().copied().chain(dishes) {
                let leaked = text
                    .split(|letter: char| !letter.is_alphabetic())
                    .find(|word| english.contains(&word.to_lowercase().as_str()));
                assert_eq!(leaked, None, "{text}");
            }
        }
    }
}
