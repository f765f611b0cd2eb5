package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"example.com/shop/internal/money"
	"example.com/shop/internal/order"
)

// row is what was sold of a category on a day.
type row struct {
	day, category string
}

// figures are the sums of a row.
type figures struct {
	pieces int64
	net    money.Amount
}

type summary map[row]figures

// summarize adds up orders that are not cancelled. Days are those of UTC.
func summarize(orders []order.Order) (summary, error) {
	s := summary{}
	for _, o := range orders {
		if o.Status == order.Cancelled {
			continue
		}
		for _, line := range o.Quote.Lines {
			key := row{o.PlacedAt.UTC().Format("2006-01-02"), line.Category}
			f := s[key]
			net, err := money.Sum(f.net, line.Net)
			if err != nil {
				return nil, err
			}
			s[key] = figures{f.pieces + line.Quantity, net}
		}
	}
	return s, nil
}

// print writes the rows as a table, by day and then by category.
func (s summary) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "day\tcategory\tpieces\tnet")
	rows := slices.SortedFunc(maps.Keys(s), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.category, b.category))
	})
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", r.day, r.category, s[r].pieces, s[r].net)
	}
	return table.Flush()
}
