// Package catalog holds the products that the shop sells.
//
// The products are a CSV file that is embedded into every binary: a new price is
// a new release.
package catalog

import (
	_ "embed"
	"encoding/csv"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"example.com/shop/internal/ean13"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
)

//go:embed products.csv
var productsCSV string

// SKU is the shop's own name for a product.
type SKU string

// Product is one thing that the shop sells.
type Product struct {
	SKU      SKU          `json:"sku"`
	Name     string       `json:"name"`
	Category string       `json:"category"`
	EAN      string       `json:"ean"`
	Price    money.Amount `json:"price"`
}

// Catalog is an immutable set of products. Its methods may be called from
// several goroutines.
type Catalog struct {
	products []Product // in the order of the file
	bySKU    map[SKU]int
}

// Default returns the catalog that is embedded into this binary.
var Default = sync.OnceValues(func() (*Catalog, error) {
	return Read(strings.NewReader(productsCSV))
})

var header = []string{"sku", "name", "category", "ean", "price"}

// Read reads a catalog in the form of products.csv. It refuses a file with a
// wrong check digit, a price of nothing or less, or the same SKU twice.
func Read(r io.Reader) (*Catalog, error) {
	const op = "read catalog"
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = len(header)
	c := &Catalog{bySKU: map[SKU]int{}}
	for first := true; ; first = false {
		row, err := rows.Read()
		if err == io.EOF && !first {
			return c, nil
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, op, "%w", err)
		}
		if first {
			if !slices.Equal(row, header) {
				return nil, fault.New(fault.Invalid, op, "the columns are %q, not %q", row, header)
			}
			continue
		}
		product, err := parseRow(row)
		if err != nil {
			line, _ := rows.FieldPos(0)
			return nil, fault.New(fault.Invalid, op, "line %d: %w", line, err)
		}
		if _, twice := c.bySKU[product.SKU]; twice {
			return nil, fault.New(fault.Invalid, op, "%s is there twice", product.SKU)
		}
		c.bySKU[product.SKU] = len(c.products)
		c.products = append(c.products, product)
	}
}

func parseRow(row []string) (Product, error) {
	price, err := money.Parse(row[4])
	if err != nil {
		return Product{}, err
	}
	if price.Minor <= 0 {
		return Product{}, fault.New(fault.Invalid, "check price", "%s costs %s", row[0], price)
	}
	if _, err := ean13.Encode(row[3]); err != nil {
		return Product{}, err
	}
	return Product{SKU(row[0]), row[1], row[2], row[3], price}, nil
}

// Find returns the product with this SKU. An unknown one is [fault.NotFound].
func (c *Catalog) Find(sku SKU) (Product, error) {
	i, ok := c.bySKU[sku]
	if !ok {
		return Product{}, fault.New(fault.NotFound, "find product", "no product %q in the catalog", sku)
	}
	return c.products[i], nil
}

// All goes through the products in the order of the file.
func (c *Catalog) All() iter.Seq[Product] { return slices.Values(c.products) }

// Search goes through the products whose name or SKU contains the text, in
// whatever case.
func (c *Catalog) Search(text string) iter.Seq[Product] {
	text = strings.ToLower(text)
	return func(yield func(Product) bool) {
		for _, p := range c.products {
			hit := strings.Contains(strings.ToLower(p.Name), text) ||
				strings.Contains(strings.ToLower(string(p.SKU)), text)
			if hit && !yield(p) {
				return
			}
		}
	}
}
