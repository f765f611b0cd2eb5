module example.com/shop

go 1.24

require (
	github.com/google/uuid v1.6.0
	golang.org/x/text v0.27.0
)
