package invoice

import (
	"strings"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
	"example.com/shop/internal/order"
	"example.com/shop/internal/pricing"
)

func sample(t *testing.T) order.Order {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	o, err := order.Place(c, order.Request{
		Customer: "Fish & <Chips>",
		Country:  "DE",
		Lines:    []pricing.Line{{SKU: "POT-IRON-07L", Quantity: 40}, {SKU: "BISCUIT-BUTTER", Quantity: 1}},
	}, time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func render(t *testing.T, format Format, accept string) string {
	t.Helper()
	var b strings.Builder
	if err := Render(&b, sample(t), format, accept); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLanguages(t *testing.T) {
	for accept, want := range map[string][]string{
		"":                        {"Invoice", "Discount", "59.00\u00a0EUR", "Thank you"},
		"de-CH, fr;q=0.5":         {"Rechnung", "Rabatt", "59,00\u00a0EUR", "Vielen Dank"},
		"ja, fr-CA;q=0.8":         {"Facture", "Remise", "59,00\u00a0EUR", "Merci"},
		"this is not a language!": {"Invoice"},
	} {
		t.Run(accept, func(t *testing.T) {
			text := render(t, Text, accept)
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("no %q in\n%s", part, text)
				}
			}
		})
	}
}

func TestEveryWordIsTranslated(t *testing.T) {
	for _, words := range translations {
		for i, tag := range supported {
			if got := choose(tag.String()).translate(words[0]); got != words[i] {
				t.Errorf("%s in %s is %q, want %q", words[0], tag, got, words[i])
			}
		}
	}
}

func TestAmountsAreExact(t *testing.T) {
	largest := money.New(-1<<63, money.EUR)
	if got, want := choose("de").amount(largest), "-92.233.720.368.547.758,08\u00a0EUR"; got != want {
		t.Errorf("amount = %q, want %q", got, want)
	}
	if got, want := choose("en").amount(money.New(1500, money.JPY)), "1,500\u00a0JPY"; got != want {
		t.Errorf("amount = %q, want %q", got, want)
	}
}

func TestHTML(t *testing.T) {
	page := render(t, HTML, "de")
	for _, part := range []string{`<html lang="de">`, "Fish &amp; &lt;Chips&gt;", `aria-label="4000417025005"`, `<rect x="0" width="1"`} {
		if !strings.Contains(page, part) {
			t.Errorf("no %q in\n%s", part, page)
		}
	}
}

// TestBarsCoverEveryDarkModule adds the stripes up again.
func TestBarsCoverEveryDarkModule(t *testing.T) {
	stripes, err := bars("5901234123457")
	if err != nil {
		t.Fatal(err)
	}
	// Three guards have 2+2+2 stripes and each of the 12 digits has two.
	if len(stripes) != 30 {
		t.Errorf("%d stripes, want 30", len(stripes))
	}
	if last := stripes[len(stripes)-1]; last.X+last.Width != 95 {
		t.Errorf("the last stripe ends at %d, want 95", last.X+last.Width)
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := Render(&strings.Builder{}, order.Order{}, "pdf", ""); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("error %v, want an invalid fault", err)
	}
}
