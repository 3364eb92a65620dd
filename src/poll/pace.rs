//! How long to wait before the next check.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::source::ErrorClass;

/// The shortest interval: a remote is asked once a second at most.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after a failure: how late a server may notice that its remote is back.
const MAX_BACK_OFF: Duration = Duration::from_mins(5);

/// The shortest pause after a remote has refused our credentials, or we its host key: fail2ban bans an address at the fifth
/// such attempt within ten minutes by default, and accounts are locked at about as many.
const REFUSED_FLOOR: Duration = Duration::from_secs(150);

/// The shortest pause after a remote has said that it has no such repository or no such ref: somebody has to make it first,
/// and forges count what strangers ask for in vain.
const MISSING_FLOOR: Duration = Duration::from_secs(30);

/// How often it is looked, after a failure, whether the files of the credentials hold something else now. That asks nobody
/// else, and whoever has just replaced a password waits for it.
pub(super) const CREDENTIALS_PAUSE: Duration = Duration::from_secs(5);

/// How often it is looked whether the files of secrets hold something else now: to rotate a secret is somebody waiting, for
/// two looks that find the same.
pub(super) const SECRETS_PAUSE: Duration = Duration::from_secs(1);

/// How far the regular pause strays to either side, as a share, so that a fleet of servers does not ask in step.
const JITTER: f64 = 0.1;

/// How many checks for ids that nobody here knows may find nothing in [`WONDER_TIME`]: anybody can make such ids up, and a
/// git host would soon answer this server no more.
const MAX_WONDERS: usize = 10;

/// See [`MAX_WONDERS`].
const WONDER_TIME: Duration = Duration::from_mins(10);

/// The checks for ids that nobody here knows.
#[derive(Debug, Default)]
pub(super) struct Wonders {
    /// When the last ones that found nothing ended.
    in_vain: VecDeque<Instant>,
}

impl Wonders {
    pub(super) fn may_check(&mut self, now: Instant) -> bool {
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= WONDER_TIME;
        while self.in_vain.front().is_some_and(is_over) {
            self.in_vain.pop_front();
        }
        self.in_vain.len() < MAX_WONDERS
    }

    pub(super) fn found_nothing(&mut self, now: Instant) {
        self.in_vain.push_back(now);
    }
}

/// The pauses between checks.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// How many checks failed in a row.
    failures: u32,
    /// What the last one wants the next pause to be at least.
    floor: Duration,
}

/// The shortest pause after a failure of this class.
pub(super) fn floor(class: ErrorClass) -> Duration {
    match class {
        ErrorClass::Auth | ErrorClass::HostKey => REFUSED_FLOOR,
        ErrorClass::NotFound | ErrorClass::RefNotFound => MISSING_FLOOR,
        ErrorClass::Dns
        | ErrorClass::Refused
        | ErrorClass::Tls
        | ErrorClass::Timeout
        | ErrorClass::Protocol
        | ErrorClass::Server
        | ErrorClass::Limit
        | ErrorClass::Corrupt
        | ErrorClass::Disk
        | ErrorClass::Content
        | ErrorClass::PathMissing
        | ErrorClass::Signature
        | ErrorClass::Unsupported
        | ErrorClass::Interrupted => Duration::ZERO,
    }
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(MIN_INTERVAL),
            failures: 0,
            floor: Duration::ZERO,
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.floor = Duration::ZERO;
    }

    /// Takes note of a failure after which nobody asks again before `floor` has passed, or [`MAX_BACK_OFF`].
    pub(super) fn failed(&mut self, floor: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.floor = floor;
    }

    pub(super) fn is_backing_off(&self) -> bool {
        self.failures > 0
    }

    /// The pause that follows the last check; `random` is between 0 and 1. After failures it is anything up to a bound
    /// that doubles each time (full jitter): servers that failed together do not come back together. A floor is strayed
    /// from upwards, as far as there is room.
    pub(super) fn pause(&self, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        if self.failures == 0 {
            return self.interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * random);
        }
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let bound = self.interval.saturating_mul(doubled);
        let most = bound.max(self.floor.saturating_mul(2)).min(MAX_BACK_OFF);
        let least = if self.floor < MAX_BACK_OFF {
            self.floor
        } else {
            MAX_BACK_OFF.mul_f64(1.0 - JITTER)
        };
        let pause = least + most.saturating_sub(least).mul_f64(random);
        pause.max(MIN_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn the_regular_pause_strays_by_a_tenth() {
        let pace = Pace::new(INTERVAL);
        assert_eq!(pace.pause(0.0), Duration::from_secs(27));
        assert_eq!(pace.pause(0.5), INTERVAL);
        assert_eq!(pace.pause(1.0), Duration::from_secs(33));
    }

    #[test]
    fn failures_double_the_bound_up_to_five_minutes() {
        let mut pace = Pace::new(INTERVAL);
        let mut bounds = Vec::new();
        for _ in 0..6 {
            pace.failed(Duration::ZERO);
            bounds.push(pace.pause(1.0).as_secs());
        }
        assert_eq!(bounds, [30, 60, 120, 240, 300, 300]);
        pace.succeeded();
        assert_eq!(pace.pause(0.5), INTERVAL);
    }

    /// The shortest and the longest pause in seconds after this many failures with this floor.
    fn range(failures: u32, floor: Duration) -> (u64, u64) {
        let mut pace = Pace::new(INTERVAL);
        for _ in 0..failures {
            pace.failed(floor);
        }
        (pace.pause(0.0).as_secs(), pace.pause(1.0).as_secs())
    }

    #[test]
    fn no_pause_is_shorter_than_its_floor_and_none_is_in_step() {
        let told = Duration::from_secs;
        assert_eq!(range(1, floor(ErrorClass::Refused)), (1, 30));
        assert_eq!(range(1, floor(ErrorClass::Auth)), (150, 300));
        assert_eq!(range(1, floor(ErrorClass::HostKey)), (150, 300));
        assert_eq!(range(1, floor(ErrorClass::RefNotFound)), (30, 60));
        assert_eq!(range(4, floor(ErrorClass::RefNotFound)), (30, 240));
        assert_eq!(range(9, floor(ErrorClass::NotFound)), (30, 300));
        assert_eq!(range(1, told(290)), (290, 300));
        assert_eq!(range(1, told(300)), (270, 300));
        assert_eq!(range(1, Duration::MAX), (270, 300));
    }

    #[test]
    fn a_floor_is_that_of_the_last_failure() {
        let mut pace = Pace::new(INTERVAL);
        pace.failed(REFUSED_FLOOR);
        pace.failed(Duration::ZERO);
        assert_eq!(pace.pause(0.0), MIN_INTERVAL);
        pace.failed(REFUSED_FLOOR);
        pace.succeeded();
        assert_eq!(pace.pause(0.5), INTERVAL);
    }

    #[test]
    fn ten_checks_in_vain_are_enough_for_ten_minutes() {
        let start = Instant::now();
        let mut wonders = Wonders::default();
        for second in 0..10 {
            assert!(wonders.may_check(start));
            wonders.found_nothing(start + Duration::from_secs(second));
        }
        assert!(!wonders.may_check(start + Duration::from_secs(599)));
        assert!(wonders.may_check(start + Duration::from_mins(10)));
        wonders.found_nothing(start + Duration::from_mins(10));
        assert!(!wonders.may_check(start + Duration::from_mins(10)));
    }

    #[test]
    fn no_interval_is_shorter_than_a_second() {
        assert_eq!(Pace::new(Duration::ZERO).pause(0.5), MIN_INTERVAL);
    }

    proptest! {
        #[test]
        fn pauses_after_failures_stay_between_a_second_and_five_minutes(
            seconds in 0_u64..1_000_000, failures in 1_u32..200, floor in 0_u64..1_000, random in -1.0..2.0_f64,
        ) {
            let mut pace = Pace::new(Duration::from_secs(seconds));
            for _ in 0..failures {
                pace.failed(Duration::from_secs(floor));
            }
            let pause = pace.pause(random);
            prop_assert!((MIN_INTERVAL..=MAX_BACK_OFF).contains(&pause), "{pause:?}");
            prop_assert!(floor >= 300 || pause >= Duration::from_secs(floor), "{pause:?}");
        }
    }
}
