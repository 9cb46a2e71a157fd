package telemetry

// For the fuzz targets: these parsers meet whatever a stranger sends.
var (
	BodyText = bodyText
	Mask     = mask
	Clip     = clip

	Traceparent      = traceparent
	ParseTraceparent = parseTraceparent
)
