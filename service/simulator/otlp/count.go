package otlp

import "google.golang.org/protobuf/encoding/protowire"

// Numbers of the fields on the way to what is counted. The three requests are
// built alike: request → resource → scope → item.
const (
	resources = 1
	scopes    = 2
	items     = 2 // spans, log records, metrics

	spanKind   = 6
	serverKind = 2
	eventName  = 12

	points = 1 // of each kind of data in a metric
)

// data are the kinds of data that a metric can have: gauge, sum, histogram,
// exponential histogram, summary.
var data = []protowire.Number{5, 7, 9, 10, 11}

func countSpans(request []byte) (c Counts, err error) {
	err = eachItem(request, func(span []byte) error {
		c.Spans++
		return fields(span, func(n protowire.Number, value field) error {
			if n == spanKind && value.number == serverKind {
				c.ServerSpans++
			}
			return nil
		})
	})
	return c, err
}

func countRecords(request []byte) (c Counts, err error) {
	c.Events = map[string]int64{}
	err = eachItem(request, func(record []byte) error {
		c.Records++
		return within(record, eventName, func(name []byte) error {
			c.Events[string(name)]++
			return nil
		})
	})
	return c, err
}

func countPoints(request []byte) (c Counts, err error) {
	err = eachItem(request, func(metric []byte) error {
		for _, kind := range data {
			if err := within(metric, kind, func(data []byte) error {
				return within(data, points, func([]byte) error { c.Points++; return nil })
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

// eachItem visits every item of every scope of every resource.
func eachItem(request []byte, visit func([]byte) error) error {
	return within(request, resources, func(resource []byte) error {
		return within(resource, scopes, func(scope []byte) error {
			return within(scope, items, visit)
		})
	})
}

// within visits a message's fields of one number that hold bytes.
func within(message []byte, number protowire.Number, visit func([]byte) error) error {
	return fields(message, func(n protowire.Number, value field) error {
		if n != number || value.bytes == nil {
			return nil
		}
		return visit(value.bytes)
	})
}

// field is the value of one field: a number, or bytes that are never nil.
type field struct {
	number uint64
	bytes  []byte
}

func fields(message []byte, visit func(protowire.Number, field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value field
		switch kind {
		case protowire.VarintType:
			value.number, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			value.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := visit(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
