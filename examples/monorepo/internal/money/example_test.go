package money_test

import (
	"fmt"

	"example.com/shop/internal/money"
)

func ExampleAmount_Split() {
	price, err := money.Parse("10.00 EUR")
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := price.Split(3)
	fmt.Println(parts, err)
	// Output: [3.34 EUR 3.33 EUR 3.33 EUR] <nil>
}

func ExampleParse_invalid() {
	_, err := money.Parse("1.005 EUR")
	fmt.Println(err)
	// Output: parse amount: "1.005 EUR": EUR has 2 decimal places
}
