// Package report holds the results: a [Row] for each system and work, as a table for people and as JSON for programs.
package report
