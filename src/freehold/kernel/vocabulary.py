"""Words that carry no instruction of their own, and the words by which people ask for an effect; en, de, fr.

``freehold.kernel.wording`` reads them. A text is accounted for when all that it says beyond ``COMMON`` was said by the
owner or stands in a trusted record; so a word belongs there only if it names no thing, place, sum, duty or decision.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freehold.kernel.grades import Category

COMMON: Final = frozenset(
    """
    call calls called phone gladly enjoy hand compare work works working become writing write wrote line
    lines went miss suits suit fits fit agree agreed appreciate appreciated welcome apologies apology
    pleasure convenient possible understand understood share shared attached attachment brief kiss hug
    hugs gern joy reply answer answered asks asked ask reminder remind asking checked check updated
    update total totals both plan plans planned join joined suggestion suggest suggested add added a
    about above across actually after afterwards again all almost along already also although always am
    among an and another any anybody anyone anything anyway are around as at away back be became because
    been before began begin being below best better between briefly by came can case come comes coming
    could couldn currently dear detail details did different do does doing done down during each either
    else end enclosed enough especially etc even ever every everybody everyone everything exactly few
    finally find fine first following follows for found from full further gave general generally get
    gets getting give given gives giving glad go goes going good got great greetings had happen happy
    hast have having he hello help helpful her here hers herself hey hi him himself his hope hoping how
    however i if in indeed information into is it its itself just keep kept kind kindly kinds know known
    last later latest least less let like likely little ll long look looking looks lot made mainly make
    makes making many may maybe me mean meant might mine more morning most much must my myself namely
    near nearly need needed new next nice note now number of often ok okay old on once one ones only or
    other others otherwise our ours ourselves out over overall own part per perhaps place please pleased
    point present previous probably provided put question questions quick quite rather re read ready
    really receive received recent recently regard regarding regards respectively right said same saw
    say saying says see seem seems seen sense set several shall she short shortly should shown shows
    similar simply since sincerely so some somebody someone something sometimes soon sorry sort still
    such sure take taken taking tell text than thank thanks that the their theirs them themselves then
    there therefore these they thing things think this those though thought through thus time to today
    together told tomorrow too took toward towards true try under up upon us useful using usually
    various ve very via was way ways we week weeks well were what whatever when whenever where whether
    which while who whole whom whose why will with within won word words would year years yes yesterday
    yet you your yours yourself yourselves afternoon evening night noon day days month months hour hours
    minute minutes pm oclock monday tuesday wednesday thursday friday saturday sunday mon tue wed thu
    fri sat sun january february march april june july august september october november december jan
    feb mar apr jun jul aug sep sept oct nov dec summary summarize overview list listed item items
    subject mail email message sender recipient date sum average mr mrs ms dr fw fwd cc ps all-day
    best-regards cheers warm warmly love forward hear hearing sir madam team folks th st nd rd due bring
    brings brought but bit newest version down top side half same sorry feel free soonest since sounds
    no off without statt ohne sans plutôt ne someone nobody whoever whichever whose bunch stuff
    sometime anytime anyway instead
    """.split()  # noqa: SIM905
    + """
 gern kommen kommt komme bringen bringt bringe nehme nehmen grüssen grüsse grossen zusammen passt passe
 melde melden freut mama papa aber alle allem allen aller alles als also am an andere auch auf aus bei
 beim bereits besten bin bis bitte bist da dabei damit danach danke dank dann daran darauf das dass
 davon dazu dein deine dem den denn der des deshalb die dies diese diesem diesen dieser dieses doch dort
 du durch ein eine einem einen einer eines er es etwas euch euer eure freue freuen freundliche
 freundlichen früher für ganz gar gegen gerne grüße grüßen gut gute guten hab habe haben hallo hat hatte
 heute hier hiermit hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in ist ja jede jedem
 jeden jeder jetzt kann kannst können könnte lassen liebe lieber liegt machen mal man mehr mein meine
 meinem meinen mich mir mit möchte möchten morgen muss müssen nach nächste nächsten nächster noch nun
 nur ob oder schon schöne sehr sein seine seit sich sie sind so sollte sonst soll sowie tag tage uhr um
 und uns unser unsere unter viel viele vielen vom von vor war wäre warum was weil weiter welche welcher
 wenn wer werde werden wie wieder will wir wird wo woche wünsche würde zu zum zur zwischen montag
 dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli oktober dezember
 anbei anhang betreff nachricht zusammenfassung übersicht großen abholen holen hole backe backen sitze
 """.split()  # noqa: SIM905
    + """
 à côté amitiés bises bisous convient convenir remarques passe prise partie midi ajoutons afin ai ainsi
 alors après as au aucun aussi autre autres aux avant avec avez avoir avons bien bientôt bon bonjour
 bonne bonsoir ça car ce ceci cela celle celui ces cet cette ceux chaque cher chère chez ci comme
 comment cordialement dans de déjà demain depuis des deux donc dont du elle elles en encore entre est et
 êtes étais était été être eu eux fait faire hier ici il ils je jour jours jusqu la là laquelle le
 lequel les leur leurs lui ma mais me même merci mes mieux moi moins mon ne nos notre nous on ont ou où
 oui par parce pendant peu peut plus pour pouvez pouvoir pourquoi pourriez prie près puis quand que quel
 quelle quelles quels qui quoi reçois revoir sa salutations se sera ses si sinon soit son sont souhaite
 sous suis sur ta te tes toi ton toujours tous tout toute toutes très trop tu un une vers veuillez voici
 voilà vos votre vous vraiment y aujourd hui lundi mardi mercredi jeudi vendredi samedi dimanche janvier
 février mars avril juin juillet août septembre octobre novembre décembre heure heures semaine mois
 résumé
 """.split()  # noqa: SIM905
)

ASKED_BY: Final[Mapping[Category, frozenset[str]]] = MappingProxyType(
    {
        Category.SEND: frozenset(
            """
            send resend sent mail email e-mail message write reply respond answer forward tell inform
            notify post publish share dm text invite remind let ask contact draft announce submit fill
            thank congratulate greet add report apologize confirm accept decline sende schick schicke
            schreib schreibe antworte beantworte leite weiter sag melde lade erinnere teile frag frage
            say introduce introducing welcome warn report line note answer word explain summarize comment react raise
            bestätige envoie envoyer envoyez écris écrire réponds répondre transfère dis préviens
            rappelle
            """.split()  # noqa: SIM905
        ),
        Category.SPEND: frozenset(
            """
            pay buy order reorder purchase transfer send refund repay return book reserve reservation
            donate settle wire schedule checkout subscribe get bestell bestelle kauf kaufe zahl zahle
            bezahle überweis überweise buche reserviere erstatte commande commander achète acheter paie
            payer paye vire réserve réserver rembourse
            """.split()  # noqa: SIM905
        ),
        Category.DELETE: frozenset(
            """
            delete remove cancel erase clear discard trash drop empty kick clean purge call lösch lösche
            rid throw bin dump exclude ban unsubscribe leave left gone off drop take
            entferne storniere sag supprime supprimer efface annule annuler enlève retire
            """.split()  # noqa: SIM905
        ),
        Category.CHANGE_SOURCE: frozenset(
            """
            create add make write update change set append save edit rename move schedule reschedule put
            mark draft label book note record fill file store archive copy adjust correct replace extend
            postpone shift flag tag plan block bring push pull fix turn join forget total continue
            complete fill include insert double raise lower increase decrease delay switch new use
            prepare enter push return organise organize trag trage
            erstelle schreib schreibe ändere speichere verschiebe benenne füge plane notiere leg lege
            setze mach crée créer ajoute ajouter écris modifie modifier enregistre déplace renomme
            planifie mets prépare
            """.split()  # noqa: SIM905
        ),
        Category.SHARE: frozenset(
            [
                "share",
                "invite",
                "give",
                "grant",
                "add",
                "send",
                "access",
                "permission",
                "put",
                "join",
                "get",
                "into",
                "onto",
                "set",
                "show",
                "view",
                "see",
                "let",
                "open",
                "include",
                "employ",
                "hire",
                "onboard",
                "welcome",
                "forward",
                "teile",
                "lade",
                "gib",
                "partage",
                "partager",
                "invite",
                "donne",
            ]
        ),
        Category.RUN_CODE: frozenset(
            [
                "run",
                "execute",
                "start",
                "test",
                "build",
                "compute",
                "calculate",
                "convert",
                "führe",
                "starte",
                "lance",
                "exécute",
            ]
        ),
    }
)

GENERIC: Final = frozenset(
    """
    file files document documents folder docx doc pdf txt csv md xlsx event events hotel hotels
    restaurant restaurants car cars company companies channel channels com org net http https www
    example website page data user users email emails mail mails title subject name list item items city
    street read write edit status open true false drive inbox mailbox calendar cloud workspace account
    """.split()  # noqa: SIM905
)
"""Words that tell no thing from another of its kind."""

TOWARDS: Final = frozenset(
    """
    to with for and cc bcc an à au aux für mit und pour avec et both also , invite tell ask inform
    notify remind thank let
    """.split()  # noqa: SIM905
)
"""Words behind which stands whom an action is meant for."""

SOURCES: Final = frozenset("from by of von vom de du d'".split())  # noqa: SIM905
"""Words behind which stands where something came from, and not whom an action is meant for."""

PLACED: Final = frozenset("in into onto on channel group folder im ins dans sur".split())  # noqa: SIM905
"""Words right behind which stands the name of a place, however common a word it is."""

VALUED: Final = frozenset(
    [
        "at",
        "as",
        "is",
        "be",
        "called",
        "named",
        "named:",
        "name",
        "titled",
        "=",
        ":",
        "bei",
        "als",
        "heißt",
        "auf",
        "à",
        "comme",
        "est",
    ]
)
"""More words right behind which stands a value and not just a word."""

PRONOUNS: Final = frozenset("him her them he she they ihm ihr ihnen er sie lui leur elle il".split())  # noqa: SIM905
"""Words that stand for somebody who was named before."""

GROUP: Final = frozenset(
    """
    everyone everybody others all people participants attendees guests team members both persons invitees
    alle andere anderen teilnehmer gäste leute tous toutes autres participants invités
    """.split()  # noqa: SIM905
)
"""Words by which people mean all those who take part in a thing."""

ALL_OF: Final = frozenset(
    """
    all each every everyone everybody both alle allen jeder jedem jeden beide tous toutes chaque
    """.split()  # noqa: SIM905
)
"""Words by which people mean a whole set, so that nothing is chosen out of it."""

BOTH: Final = frozenset("both beide beiden twice zweimal deux".split())  # noqa: SIM905
"""Words by which people mean that something is done more than once."""

TURNING: Final = frozenset(
    """
    not never none nor neither cancel cancelled canceled stop refuse refuses fake
    nicht nie kein keine keinen absagen abgesagt pas jamais annule annulé
    """.split()  # noqa: SIM905
)
"""Words that turn a sentence round; one that nobody said is never just the agent's own."""

DEMANDING: Final = frozenset(
    """
    key password passwords passcode passphrase pin code codes credential credentials login secret alarm money
    cash pay payment payments fee iban urgent urgently immediately click install download
    verify bank transfer wire deposit cheque card voucher passport badge lease alone überweisung karte ausweis allein
    schlüssel passwort kennwort geheimnis geld bargeld zahle zahlen dringend sofort
    clé code argent espèces payer paie urgent immédiatement cliquez
    """.split()  # noqa: SIM905
)
"""Words by which people are made to give access or money away; where the owner said none, it has to be passed on."""

UNITS: Final = frozenset("$ € £ % eur usd gbp chf km kg mb gb min hrs pm am".split())  # noqa: SIM905
"""Short words that say what a number counts."""

MONTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        name: number
        for number, names in enumerate(
            (
                "january jan januar janvier", "february feb februar février fevrier", "march mar märz maerz mars",
                "april apr avril", "may mai", "june jun juni juin", "july jul juli juillet", "august aug août aout",
                "september sept sep septembre", "october oct oktober okt octobre", "november nov novembre",
                "december dec dezember dez décembre decembre",
            ),
            1,
        )
        for name in names.split()
    }
)  # fmt: skip

WEEKDAYS: Final[Mapping[str, int]] = MappingProxyType(
    {
        name: number
        for number, names in enumerate(
            (
                "monday mon montag lundi", "tuesday tue tues dienstag mardi", "wednesday wed mittwoch mercredi",
                "thursday thu thurs donnerstag jeudi", "friday fri freitag vendredi", "saturday sat samstag samedi",
                "sunday sun sonntag dimanche",
            )
        )
        for name in names.split()
    }
)  # fmt: skip

NUMBER_WORDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        name: number
        for number, names in {
            0: "zero half null zéro", 1: "one an a eins ein eine einen un une", 2: "two zwei deux",
            3: "three drei trois",
            4: "four vier quatre", 5: "five fünf cinq", 6: "six sechs", 7: "seven sieben sept", 8: "eight acht huit",
            9: "nine neun neuf", 10: "ten zehn dix", 11: "eleven elf onze", 12: "twelve dozen zwölf douze",
            15: "fifteen fünfzehn quinze", 20: "twenty zwanzig vingt", 30: "thirty dreißig trente",
        }.items()
        for name in names.split()
    }
)  # fmt: skip
