package callback

import "time"

// Outstanding is one notification that has not been accepted (未入账).
type Outstanding struct {
	Notification
	Reason   Reason
	First    time.Time // first arrival
	Last     time.Time // latest arrival
	Arrivals int
}
