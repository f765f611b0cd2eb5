// Package invoice renders the invoice of an order, as text or as a page, in the
// customer's language.
package invoice

import (
	"embed"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"

	"golang.org/x/text/language"

	"example.com/shop/internal/ean13"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
	"example.com/shop/internal/order"
)

//go:embed templates
var templates embed.FS

// Format is a kind of document.
type Format string

// The formats that Render knows.
const (
	Text Format = "text"
	HTML Format = "html"
)

// view is what the templates see.
type view struct {
	order.Order
	Language string
	Net      money.Amount
	Tax      money.Amount
	Shipping money.Amount
	Total    money.Amount
}

// Render writes the invoice of an order. The language is a list in the form of an
// Accept-Language header, or one BCP 47 tag; English is taken where nothing fits.
func Render(w io.Writer, o order.Order, format Format, accept string) error {
	const op = "render invoice"
	words := choose(accept)
	data := view{o, words.tag.String(), o.Quote.Net, o.Quote.Tax, o.Quote.Shipping, o.Quote.Total}
	functions := map[string]any{
		"t":      words.translate,
		"amount": words.amount,
		"pad":    pad,
		"bars":   bars,
	}
	var err error
	switch format {
	case Text:
		t := texttemplate.New("invoice.txt.tmpl").Funcs(functions)
		if t, err = t.ParseFS(templates, "templates/*.txt.tmpl"); err == nil {
			err = t.Execute(w, data)
		}
	case HTML:
		t := htmltemplate.New("invoice.html.tmpl").Funcs(functions)
		if t, err = t.ParseFS(templates, "templates/*.html.tmpl"); err == nil {
			err = t.Execute(w, data)
		}
	default:
		return fault.New(fault.Invalid, op, "no format %q, choose %s or %s", format, Text, HTML)
	}
	return fault.Wrap(op, err)
}

// Languages returns the languages in which Render writes, the preferred one first.
func Languages() []language.Tag { return supported }

// pad fills text with spaces to a width, on the left for a negative one. It
// counts characters, where the printf verbs of Go do the same.
func pad(width int, text string) string {
	left := width < 0
	missing := max(width, -width) - len([]rune(text))
	if missing <= 0 {
		return text
	}
	if left {
		return strings.Repeat(" ", missing) + text
	}
	return text + strings.Repeat(" ", missing)
}

// bar is a dark stripe of a bar code, in modules from its left edge.
type bar struct{ X, Width int }

// bars returns the dark stripes of the bar code of an EAN.
func bars(code string) ([]bar, error) {
	modules, err := ean13.Encode(code)
	if err != nil {
		return nil, err
	}
	var stripes []bar
	for x, module := range modules {
		switch {
		case module != '1':
		case x > 0 && modules[x-1] == '1':
			stripes[len(stripes)-1].Width++
		default:
			stripes = append(stripes, bar{x, 1})
		}
	}
	return stripes, nil
}
