package catalog

import (
	"slices"
	"strings"
	"testing"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
)

func TestEmbeddedCatalog(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Find("TEA-ASSAM-250")
	if err != nil || p.Price != money.New(890, money.EUR) {
		t.Errorf("Find = %+v, %v", p, err)
	}
	if n := len(slices.Collect(c.All())); n < 5 {
		t.Errorf("only %d products", n)
	}
	if _, err := c.Find("TEA-ASSAM"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown SKU gives %v", err)
	}
}

func TestSearch(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	var skus []SKU
	for p := range c.Search("tea pot") {
		skus = append(skus, p.SKU)
	}
	if want := []SKU{"POT-GLASS-1L", "POT-IRON-07L"}; !slices.Equal(skus, want) {
		t.Errorf("found %v, want %v", skus, want)
	}
}

func TestReadRefuses(t *testing.T) {
	const columns = "sku,name,category,ean,price\n"
	for name, tc := range map[string]struct{ file, want string }{
		"empty":             {"", "EOF"},
		"columns":           {"a,b,c,d,e\n", "the columns are"},
		"check digit":       {columns + "A,a,x,4006381333932,1 EUR\n", "line 2: encode EAN-13"},
		"price":             {columns + "A,a,x,4006381333931,1\n", "has no currency"},
		"given away":        {columns + "A,a,x,4006381333931,0 EUR\n", "A costs 0.00 EUR"},
		"twice":             {columns + strings.Repeat("A,a,x,4006381333931,1 EUR\n", 2), "A is there twice"},
		"too few in line 3": {columns + "A,a,x,4006381333931,1 EUR\nB\n", "line 3: wrong number of fields"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tc.file))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
