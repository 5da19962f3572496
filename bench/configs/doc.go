// Package configs holds what each system under comparison is configured with for each work, as templates of its own
// configuration format.
//
// In go the addresses and sizes of a run ([Values]), out comes a file. A configuration is what a user of that system
// would write for the work, with its defaults wherever they can do it.
package configs
