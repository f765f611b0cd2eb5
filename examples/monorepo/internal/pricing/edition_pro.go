//go:build pro

package pricing

// Edition names the set of rules that this binary was built with.
const Edition = "pro"

// scale holds the steps of the discount, the largest quantity first. Rates are
// in basis points.
var scale = []struct{ from, rate int64 }{
	{500, 1800},
	{100, 1200},
	{50, 900},
	{10, 500},
	{5, 200},
}

// discountRate returns the discount for a quantity, in basis points.
func discountRate(quantity int64) int64 {
	for _, step := range scale {
		if quantity >= step.from {
			return step.rate
		}
	}
	return 0
}
