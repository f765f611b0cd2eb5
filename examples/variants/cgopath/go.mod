module example.com/cgopath

go 1.24
