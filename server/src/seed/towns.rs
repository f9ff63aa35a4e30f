//! Real towns with their postcode and département; `fake` would invent them from family names.

/// A town, or one postcode of a large one.
pub(super) struct Town {
    pub(super) name: &'static str,
    pub(super) postcode: &'static str,
    /// The name of the département and its number.
    pub(super) department: &'static str,
}

/// The places of mainland France and Corsica where the platform delivers, the busiest first,
/// so that a small set of data lives in large towns. Every département is there.
pub(super) const TOWNS: &[Town] = &[
    town("Paris", "75011", "Paris (75)"),
    town("Marseille", "13006", "Bouches-du-Rhône (13)"),
    town("Lyon", "69003", "Rhône (69)"),
    town("Toulouse", "31000", "Haute-Garonne (31)"),
    town("Nice", "06000", "Alpes-Maritimes (06)"),
    town("Nantes", "44000", "Loire-Atlantique (44)"),
    town("Montpellier", "34000", "Hérault (34)"),
    town("Strasbourg", "67000", "Bas-Rhin (67)"),
    town("Bordeaux", "33000", "Gironde (33)"),
    town("Lille", "59000", "Nord (59)"),
    town("Rennes", "35000", "Ille-et-Vilaine (35)"),
    town("Paris", "75018", "Paris (75)"),
    town("Reims", "51100", "Marne (51)"),
    town("Toulon", "83000", "Var (83)"),
    town("Saint-Étienne", "42000", "Loire (42)"),
    town("Le Havre", "76600", "Seine-Maritime (76)"),
    town("Grenoble", "38000", "Isère (38)"),
    town("Dijon", "21000", "Côte-d'Or (21)"),
    town("Angers", "49000", "Maine-et-Loire (49)"),
    town("Villeurbanne", "69100", "Rhône (69)"),
    town("Nîmes", "30000", "Gard (30)"),
    town("Marseille", "13008", "Bouches-du-Rhône (13)"),
    town("Aix-en-Provence", "13100", "Bouches-du-Rhône (13)"),
    town("Clermont-Ferrand", "63000", "Puy-de-Dôme (63)"),
    town("Paris", "75015", "Paris (75)"),
    town("Le Mans", "72000", "Sarthe (72)"),
    town("Brest", "29200", "Finistère (29)"),
    town("Tours", "37000", "Indre-et-Loire (37)"),
    town("Amiens", "80000", "Somme (80)"),
    town("Annecy", "74000", "Haute-Savoie (74)"),
    town("Lyon", "69007", "Rhône (69)"),
    town("Limoges", "87000", "Haute-Vienne (87)"),
    town("Metz", "57000", "Moselle (57)"),
    town("Boulogne-Billancourt", "92100", "Hauts-de-Seine (92)"),
    town("Perpignan", "66000", "Pyrénées-Orientales (66)"),
    town("Besançon", "25000", "Doubs (25)"),
    town("Orléans", "45000", "Loiret (45)"),
    town("Rouen", "76000", "Seine-Maritime (76)"),
    town("Paris", "75020", "Paris (75)"),
    town("Saint-Denis", "93200", "Seine-Saint-Denis (93)"),
    town("Montreuil", "93100", "Seine-Saint-Denis (93)"),
    town("Caen", "14000", "Calvados (14)"),
    town("Argenteuil", "95100", "Val-d'Oise (95)"),
    town("Mulhouse", "68100", "Haut-Rhin (68)"),
    town("Nancy", "54000", "Meurthe-et-Moselle (54)"),
    town("Toulouse", "31400", "Haute-Garonne (31)"),
    town("Roubaix", "59100", "Nord (59)"),
    town("Tourcoing", "59200", "Nord (59)"),
    town("Nanterre", "92000", "Hauts-de-Seine (92)"),
    town("Vitry-sur-Seine", "94400", "Val-de-Marne (94)"),
    town("Créteil", "94000", "Val-de-Marne (94)"),
    town("Avignon", "84000", "Vaucluse (84)"),
    town("Poitiers", "86000", "Vienne (86)"),
    town("Paris", "75013", "Paris (75)"),
    town("Versailles", "78000", "Yvelines (78)"),
    town("Courbevoie", "92400", "Hauts-de-Seine (92)"),
    town("Pau", "64000", "Pyrénées-Atlantiques (64)"),
    town("La Rochelle", "17000", "Charente-Maritime (17)"),
    town("Calais", "62100", "Pas-de-Calais (62)"),
    town("Cannes", "06400", "Alpes-Maritimes (06)"),
    town("Antibes", "06600", "Alpes-Maritimes (06)"),
    town("Béziers", "34500", "Hérault (34)"),
    town("Mérignac", "33700", "Gironde (33)"),
    town("Saint-Nazaire", "44600", "Loire-Atlantique (44)"),
    town("Colmar", "68000", "Haut-Rhin (68)"),
    town("Bourges", "18000", "Cher (18)"),
    town("Ajaccio", "20000", "Corse-du-Sud (2A)"),
    town("Bastia", "20200", "Haute-Corse (2B)"),
    town("Quimper", "29000", "Finistère (29)"),
    town("Valence", "26000", "Drôme (26)"),
    town("Troyes", "10000", "Aube (10)"),
    town("Chambéry", "73000", "Savoie (73)"),
    town("Niort", "79000", "Deux-Sèvres (79)"),
    town("Lorient", "56100", "Morbihan (56)"),
    town("Vannes", "56000", "Morbihan (56)"),
    town("Laval", "53000", "Mayenne (53)"),
    town("Cherbourg-en-Cotentin", "50100", "Manche (50)"),
    town("Évreux", "27000", "Eure (27)"),
    town("Chartres", "28000", "Eure-et-Loir (28)"),
    town("Blois", "41000", "Loir-et-Cher (41)"),
    town("Châteauroux", "36000", "Indre (36)"),
    town("Angoulême", "16000", "Charente (16)"),
    town("Périgueux", "24000", "Dordogne (24)"),
    town("Brive-la-Gaillarde", "19100", "Corrèze (19)"),
    town("Agen", "47000", "Lot-et-Garonne (47)"),
    town("Montauban", "82000", "Tarn-et-Garonne (82)"),
    town("Albi", "81000", "Tarn (81)"),
    town("Rodez", "12000", "Aveyron (12)"),
    town("Aurillac", "15000", "Cantal (15)"),
    town("Carcassonne", "11000", "Aude (11)"),
    town("Narbonne", "11100", "Aude (11)"),
    town("Tarbes", "65000", "Hautes-Pyrénées (65)"),
    town("Auch", "32000", "Gers (32)"),
    town("Mont-de-Marsan", "40000", "Landes (40)"),
    town("Bayonne", "64100", "Pyrénées-Atlantiques (64)"),
    town("Gap", "05000", "Hautes-Alpes (05)"),
    town("Digne-les-Bains", "04000", "Alpes-de-Haute-Provence (04)"),
    town("Bourg-en-Bresse", "01000", "Ain (01)"),
    town("Mâcon", "71000", "Saône-et-Loire (71)"),
    town("Nevers", "58000", "Nièvre (58)"),
    town("Auxerre", "89000", "Yonne (89)"),
    town("Belfort", "90000", "Territoire de Belfort (90)"),
    town("Épinal", "88000", "Vosges (88)"),
    town("Charleville-Mézières", "08000", "Ardennes (08)"),
    town("Châlons-en-Champagne", "51000", "Marne (51)"),
    town("Saint-Quentin", "02100", "Aisne (02)"),
    town("Beauvais", "60000", "Oise (60)"),
    town("Arras", "62000", "Pas-de-Calais (62)"),
    town("La Roche-sur-Yon", "85000", "Vendée (85)"),
    town("Saint-Brieuc", "22000", "Côtes-d'Armor (22)"),
    town("Saint-Malo", "35400", "Ille-et-Vilaine (35)"),
    town("Alençon", "61000", "Orne (61)"),
    town("Évry-Courcouronnes", "91000", "Essonne (91)"),
    town("Melun", "77000", "Seine-et-Marne (77)"),
    town("Vichy", "03200", "Allier (03)"),
    town("Lons-le-Saunier", "39000", "Jura (39)"),
    town("Vesoul", "70000", "Haute-Saône (70)"),
    town("Le Puy-en-Velay", "43000", "Haute-Loire (43)"),
    town("Cahors", "46000", "Lot (46)"),
    town("Foix", "09000", "Ariège (09)"),
    town("Privas", "07000", "Ardèche (07)"),
    town("Mende", "48000", "Lozère (48)"),
    town("Guéret", "23000", "Creuse (23)"),
    town("Chaumont", "52000", "Haute-Marne (52)"),
    town("Bar-le-Duc", "55000", "Meuse (55)"),
];

const fn town(name: &'static str, postcode: &'static str, department: &'static str) -> Town {
    Town {
        name,
        postcode,
        department,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The number between the brackets of "Rhône (69)".
    fn number(town: &Town) -> &'static str {
        let (_, rest) = town.department.split_once(" (").unwrap();
        rest.strip_suffix(')').unwrap()
    }

    #[test]
    fn a_postcode_begins_with_the_number_of_its_departement() {
        for town in TOWNS {
            let expected = match number(town) {
                "2A" | "2B" => "20",
                number => number,
            };
            assert!(town.postcode.starts_with(expected), "{}", town.name);
            assert_eq!(town.postcode.len(), 5, "{}", town.name);
            assert!(
                town.postcode.bytes().all(|digit| digit.is_ascii_digit()),
                "{}",
                town.name
            );
        }
    }

    #[test]
    fn the_96_departements_of_mainland_france_and_corsica_are_there_once_each() {
        let numbers: HashSet<_> = TOWNS.iter().map(number).collect();
        let names: HashSet<_> = TOWNS.iter().map(|town| town.department).collect();
        assert_eq!((numbers.len(), names.len()), (96, 96));
    }

    #[test]
    fn no_postcode_is_listed_twice() {
        let postcodes: HashSet<_> = TOWNS.iter().map(|town| town.postcode).collect();
        assert_eq!(postcodes.len(), TOWNS.len());
    }
}
