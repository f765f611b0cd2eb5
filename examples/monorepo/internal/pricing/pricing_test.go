package pricing

import (
	"testing"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
)

func defaultCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFor(t *testing.T) {
	c := defaultCatalog(t)
	for name, tc := range map[string]struct {
		country                   string
		lines                     []Line
		net, tax, shipping, total string
	}{
		"one pack of tea": {
			"DE", []Line{{"TEA-ASSAM-250", 1}},
			"8.90 EUR", "0.62 EUR", "4.90 EUR", "14.42 EUR",
		},
		"two rates of tax, delivered free": {
			"DE", []Line{{"TEA-ASSAM-250", 2}, {"CUP-BONE-2", 1}},
			"49.75 EUR", "7.32 EUR", "0.00 EUR", "57.07 EUR",
		},
		"the same to France": {
			"FR", []Line{{"TEA-ASSAM-250", 2}, {"CUP-BONE-2", 1}},
			"49.75 EUR", "7.37 EUR", "7.90 EUR", "65.02 EUR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := For(c, tc.country, tc.lines)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []struct {
				name string
				got  money.Amount
				want string
			}{{"net", q.Net, tc.net}, {"tax", q.Tax, tc.tax}, {"shipping", q.Shipping, tc.shipping}, {"total", q.Total, tc.total}} {
				if part.got.String() != part.want {
					t.Errorf("%s = %v, want %s", part.name, part.got, part.want)
				}
			}
		})
	}
}

// TestDiscountGrowsWithQuantity holds for both editions.
func TestDiscountGrowsWithQuantity(t *testing.T) {
	t.Logf("edition: %s", Edition)
	last := int64(0)
	for quantity := int64(1); quantity <= maxQuantity; quantity++ {
		rate := discountRate(quantity)
		if rate < last || rate > 2000 {
			t.Fatalf("%d pieces get %d basis points, one less gets %d", quantity, rate, last)
		}
		last = rate
	}
	want := map[string]int64{"basic": 300, "pro": 1800}[Edition]
	if last != want {
		t.Errorf("the largest discount is %d basis points, want %d", last, want)
	}
}

func TestForRefuses(t *testing.T) {
	c := defaultCatalog(t)
	for name, tc := range map[string]struct {
		country string
		lines   []Line
		kind    fault.Kind
	}{
		"country":  {"XX", []Line{{"TEA-ASSAM-250", 1}}, fault.Invalid},
		"nothing":  {"DE", nil, fault.Invalid},
		"quantity": {"DE", []Line{{"TEA-ASSAM-250", 0}}, fault.Invalid},
		"product":  {"DE", []Line{{"COFFEE", 1}}, fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := For(c, tc.country, tc.lines); err == nil || fault.KindOf(err) != tc.kind {
				t.Errorf("error %v, want one of kind %v", err, tc.kind)
			}
		})
	}
}
