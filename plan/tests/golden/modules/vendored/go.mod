module example.com/vendored

go 1.24

require (
	example.com/Pure v1.2.3
	example.com/native v0.1.0
)
