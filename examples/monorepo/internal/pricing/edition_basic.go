//go:build !pro

package pricing

// Edition names the set of rules that this binary was built with.
const Edition = "basic"

// discountRate returns the discount for a quantity, in basis points.
func discountRate(quantity int64) int64 {
	if quantity >= 10 {
		return 300
	}
	return 0
}
