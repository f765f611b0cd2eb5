// Package pricing computes what an order costs.
//
// The rules for quantity discounts are those of the edition: the basic one has a
// single step, the pro one (built with -tags=pro) a scale.
package pricing

import (
	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/money"
)

// Line is a product and how many of it.
type Line struct {
	SKU      catalog.SKU `json:"sku"`
	Quantity int64       `json:"quantity"`
}

// maxQuantity keeps typing errors out of the warehouse.
const maxQuantity = 10_000

// QuotedLine is a line with its prices.
type QuotedLine struct {
	Line
	Name     string       `json:"name"`
	EAN      string       `json:"ean"`
	Category string       `json:"category"`
	Unit     money.Amount `json:"unit"`
	// Discount is what is taken off for the quantity, zero or positive.
	Discount money.Amount `json:"discount"`
	// Net is Quantity times Unit less Discount.
	Net money.Amount `json:"net"`
}

// Quote is the price of an order.
type Quote struct {
	Lines    []QuotedLine `json:"lines"`
	Net      money.Amount `json:"net"`
	Tax      money.Amount `json:"tax"`
	Shipping money.Amount `json:"shipping"`
	// Total is Net, Tax and Shipping.
	Total money.Amount `json:"total"`
}

// country holds the rules of one country of delivery. Rates are in basis points.
type country struct {
	taxRate, foodTaxRate int64
	shipping             money.Amount
	freeShippingFrom     money.Amount
}

var countries = map[string]country{
	"AT": {2000, 1000, money.New(690, money.EUR), money.New(60_00, money.EUR)},
	"DE": {1900, 700, money.New(490, money.EUR), money.New(40_00, money.EUR)},
	"FR": {2000, 550, money.New(790, money.EUR), money.New(80_00, money.EUR)},
}

// For prices lines for delivery to a country, given by its ISO 3166 code.
func For(c *catalog.Catalog, countryCode string, lines []Line) (Quote, error) {
	const op = "price order"
	rules, ok := countries[countryCode]
	if !ok {
		return Quote{}, fault.New(fault.Invalid, op, "the shop does not deliver to %q", countryCode)
	}
	if len(lines) == 0 {
		return Quote{}, fault.New(fault.Invalid, op, "there are no lines")
	}
	var q Quote
	nets := make([]money.Amount, 0, len(lines))
	taxes := make([]money.Amount, 0, len(lines))
	for _, line := range lines {
		quoted, err := priceLine(c, line)
		if err != nil {
			return Quote{}, fault.Wrap(op, err)
		}
		rate := rules.taxRate
		if quoted.Category != "ware" {
			rate = rules.foodTaxRate
		}
		tax, err := quoted.Net.Rate(rate)
		if err != nil {
			return Quote{}, fault.Wrap(op, err)
		}
		q.Lines = append(q.Lines, quoted)
		nets, taxes = append(nets, quoted.Net), append(taxes, tax)
	}
	var err error
	if q.Net, err = money.Sum(nets...); err != nil {
		return Quote{}, fault.Wrap(op, err)
	}
	if q.Tax, err = money.Sum(taxes...); err != nil {
		return Quote{}, fault.Wrap(op, err)
	}
	q.Shipping = rules.shipping
	if q.Net.Minor >= rules.freeShippingFrom.Minor {
		q.Shipping = money.New(0, rules.shipping.Currency)
	}
	q.Total, err = money.Sum(q.Net, q.Tax, q.Shipping)
	return q, fault.Wrap(op, err)
}

func priceLine(c *catalog.Catalog, line Line) (QuotedLine, error) {
	product, err := c.Find(line.SKU)
	if err != nil {
		return QuotedLine{}, err
	}
	if line.Quantity < 1 || line.Quantity > maxQuantity {
		return QuotedLine{}, fault.New(fault.Invalid, "check quantity",
			"%d of %s, the shop sells 1 to %d", line.Quantity, line.SKU, maxQuantity)
	}
	gross, err := product.Price.Times(line.Quantity)
	if err != nil {
		return QuotedLine{}, err
	}
	discount, err := gross.Rate(discountRate(line.Quantity))
	if err != nil {
		return QuotedLine{}, err
	}
	net, err := money.Sum(gross, discount.Neg())
	return QuotedLine{
		Line:     line,
		Name:     product.Name,
		EAN:      product.EAN,
		Category: product.Category,
		Unit:     product.Price,
		Discount: discount,
		Net:      net,
	}, err
}
