package invoice

import (
	"strconv"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"

	"example.com/shop/internal/money"
)

// supported starts with the language that is taken where nothing fits.
var supported = []language.Tag{language.English, language.German, language.French}

var matcher = language.NewMatcher(supported)

// translations holds German and French for the English words of the templates.
var translations = [][3]string{
	{"Invoice", "Rechnung", "Facture"},
	{"Customer", "Kunde", "Client"},
	{"Date", "Datum", "Date"},
	{"Article", "Artikel", "Article"},
	{"Quantity", "Menge", "Quantité"},
	{"Price", "Preis", "Prix"},
	{"Discount", "Rabatt", "Remise"},
	{"Net", "Netto", "Hors taxes"},
	{"Tax", "Umsatzsteuer", "TVA"},
	{"Shipping", "Versand", "Livraison"},
	{"Total", "Gesamt", "Total"},
	{"Thank you for your order.", "Vielen Dank für Ihre Bestellung.", "Merci de votre commande."},
}

var dictionary = func() catalog.Catalog {
	b := catalog.NewBuilder(catalog.Fallback(language.English))
	for _, words := range translations {
		for i, tag := range supported {
			// SetString fails only on a message that it cannot parse; these are
			// constants, and the tests render every one of them.
			if err := b.SetString(tag, words[0], words[i]); err != nil {
				panic(err)
			}
		}
	}
	return b
}()

// wording writes words and amounts in one language.
type wording struct {
	tag     language.Tag
	printer *message.Printer
	// point is the decimal separator.
	point string
}

func choose(accept string) wording {
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		wanted = nil
	}
	_, index, _ := matcher.Match(wanted...)
	tag := supported[index]
	printer := message.NewPrinter(tag, message.Catalog(dictionary))
	return wording{tag, printer, strings.Trim(printer.Sprintf("%.1f", 0.5), "05")}
}

func (w wording) translate(english string) string {
	return w.printer.Sprintf(message.Key(english, english))
}

// amount writes an amount with the separators of the language. The digits come
// from the exact amount: no floating point is involved.
func (w wording) amount(a money.Amount) string {
	negative, whole, fraction := a.Parts()
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	// Parts of an int64 always fit into an uint64.
	if n, err := strconv.ParseUint(whole, 10, 64); err == nil {
		whole = w.printer.Sprintf("%d", n)
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteString(w.point)
		b.WriteString(fraction)
	}
	b.WriteString("\u00a0" + string(a.Currency))
	return b.String()
}
