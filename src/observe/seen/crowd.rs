//! A bounded crowd in which nobody is pushed out by one who makes up names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

/// Up to this part of all places, a group is not pushed out because of its size.
const FAIR_PART: usize = 64;

/// Who may be one and the same client: an IPv4 address, or the network of 64 bits that an IPv6 host chooses its addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Group(IpAddr);

impl Group {
    pub(super) fn of(client: IpAddr) -> Self {
        Self(match client.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(prefix))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Who goes first: those that were seen once, the longest ago first.
type Turn = (bool, u64);

#[derive(Debug)]
struct Member<T> {
    group: Group,
    turn: Turn,
    what: T,
}

/// Members by their names, at most so many, and at most so many of one group.
#[derive(Debug)]
pub(super) struct Crowd<T> {
    limit: usize,
    group_limit: usize,
    members: HashMap<String, Member<T>>,
    turns: BTreeMap<Turn, String>,
    /// Of each group, in the order in which its members go.
    groups: BTreeMap<Group, BTreeMap<Turn, String>>,
    /// How many groups there are of each size.
    sizes: BTreeMap<usize, BTreeSet<Group>>,
    clock: u64,
    evicted: u64,
}

impl<T> Crowd<T> {
    pub(super) fn new(limit: usize, group_limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            group_limit: group_limit.max(1),
            members: HashMap::new(),
            turns: BTreeMap::new(),
            groups: BTreeMap::new(),
            sizes: BTreeMap::new(),
            clock: 0,
            evicted: 0,
        }
    }

    /// How many were pushed out.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The members, the last one seen first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let mut all: Vec<&Member<T>> = self.members.values().collect();
        all.sort_unstable_by_key(|member| std::cmp::Reverse(member.turn.1));
        all.into_iter().map(|member| &member.what)
    }

    /// The member of this name, which was seen just now; made and taken in if there is none.
    pub(super) fn see(&mut self, name: &str, client: IpAddr, new: impl FnOnce() -> T) -> &mut T {
        self.clock += 1;
        let now = self.clock;
        if let Some((group, _, what)) = self.take(name) {
            return self.put(name, group, (true, now), what);
        }
        let group = Group::of(client);
        let mates = self.groups.get(&group).map_or(0, BTreeMap::len);
        let victim = if mates >= self.group_limit {
            self.first_of(group)
        } else if self.members.len() >= self.limit {
            self.victim()
        } else {
            None
        };
        if let Some(victim) = victim {
            self.take(&victim);
            self.evicted += 1;
        }
        self.put(name, group, (false, now), new())
    }

    /// Lets go of a member.
    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        self.take(name).map(|(_, _, what)| what)
    }

    /// Who goes for somebody new: one of the largest group where that takes more than its part, else whoever's turn it is.
    fn victim(&self) -> Option<String> {
        let (size, groups) = self.sizes.last_key_value()?;
        if *size > (self.limit / FAIR_PART).max(1) {
            return self.first_of(*groups.first()?);
        }
        self.turns.first_key_value().map(|(_, name)| name.clone())
    }

    fn first_of(&self, group: Group) -> Option<String> {
        let (_, name) = self.groups.get(&group)?.first_key_value()?;
        Some(name.clone())
    }

    fn take(&mut self, name: &str) -> Option<(Group, Turn, T)> {
        let Member { group, turn, what } = self.members.remove(name)?;
        self.turns.remove(&turn);
        if let Some(mates) = self.groups.get_mut(&group) {
            let before = mates.len();
            mates.remove(&turn);
            let after = mates.len();
            if after == 0 {
                self.groups.remove(&group);
            }
            self.resize(group, before, after);
        }
        Some((group, turn, what))
    }

    fn put(&mut self, name: &str, group: Group, turn: Turn, what: T) -> &mut T {
        self.turns.insert(turn, name.to_owned());
        let mates = self.groups.entry(group).or_default();
        let before = mates.len();
        mates.insert(turn, name.to_owned());
        let after = mates.len();
        self.resize(group, before, after);
        let member = self.members.entry(name.to_owned());
        &mut member
            .insert_entry(Member { group, turn, what })
            .into_mut()
            .what
    }

    fn resize(&mut self, group: Group, before: usize, after: usize) {
        if let Some(groups) = self.sizes.get_mut(&before) {
            groups.remove(&group);
            if groups.is_empty() {
                self.sizes.remove(&before);
            }
        }
        if after > 0 {
            self.sizes.entry(after).or_default().insert(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn names(crowd: &Crowd<String>) -> Vec<&str> {
        crowd.iter().map(String::as_str).collect()
    }

    fn see(crowd: &mut Crowd<String>, name: &str, client: IpAddr) {
        crowd.see(name, client, || name.to_owned());
    }

    #[test]
    fn one_address_pushes_out_its_own_alone() {
        let mut crowd = Crowd::new(100, 10);
        see(&mut crowd, "real", ip("192.0.2.1"));
        for number in 0..1000 {
            see(&mut crowd, &format!("made-up-{number}"), ip("192.0.2.66"));
        }
        assert_eq!(crowd.len(), 11);
        assert!(names(&crowd).contains(&"real"));
        assert_eq!(crowd.evicted(), 990);
    }

    #[test]
    fn many_addresses_push_out_each_other_before_whoever_came_twice() {
        let mut crowd = Crowd::new(128, 128);
        for _ in 0..2 {
            see(&mut crowd, "real", ip("192.0.2.1"));
        }
        for number in 0..10_000_u32 {
            let client = IpAddr::V4((0x0a00_0000 + number).into());
            see(&mut crowd, &number.to_string(), client);
        }
        assert_eq!(crowd.len(), 128);
        assert!(names(&crowd).contains(&"real"));
    }

    #[test]
    fn an_ipv6_host_is_one_client_whatever_address_it_chooses() {
        let mut crowd = Crowd::new(100, 10);
        for number in 0..1000 {
            see(
                &mut crowd,
                &number.to_string(),
                ip(&format!("2001:db8::{number:x}")),
            );
        }
        assert_eq!(crowd.len(), 10);
    }

    #[test]
    fn the_largest_group_makes_room() {
        let mut crowd = Crowd::new(100, 100);
        for number in 0..10 {
            see(&mut crowd, &format!("site-{number}"), ip("192.0.2.1"));
        }
        for number in 0..1000 {
            see(&mut crowd, &format!("made-up-{number}"), ip("192.0.2.66"));
        }
        let left = names(&crowd)
            .iter()
            .filter(|name| name.starts_with("site"))
            .count();
        assert_eq!((left, crowd.len()), (10, 100));
    }

    proptest! {
        #[test]
        fn the_books_agree(steps in proptest::collection::vec((0_u8..40, 0_u8..6, 0_u8..10), 0..300)) {
            let mut crowd = Crowd::new(16, 5);
            for (name, client, act) in steps {
                let name = name.to_string();
                if act == 0 {
                    crowd.remove(&name);
                } else {
                    see(&mut crowd, &name, IpAddr::from([10, 0, 0, client]));
                }
                prop_assert!(crowd.len() <= 16);
                prop_assert_eq!(crowd.turns.len(), crowd.len());
                let by_group: usize = crowd.groups.values().map(BTreeMap::len).sum();
                prop_assert_eq!(by_group, crowd.len());
                prop_assert!(crowd.groups.values().all(|mates| (1..=5).contains(&mates.len())));
                let by_size: usize = crowd.sizes.values().map(BTreeSet::len).sum();
                prop_assert_eq!(by_size, crowd.groups.len());
                let agrees = crowd.sizes.iter().all(|(size, groups)| {
                    groups.iter().all(|group| crowd.groups[group].len() == *size)
                });
                prop_assert!(agrees);
            }
        }
    }
}
