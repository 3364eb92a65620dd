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
    /// Its turn now.
    turn: Turn,
    /// The turn under which it stands in the queues. That is moved up to `turn` when it would go, not whenever it is seen:
    /// in a boot storm many are seen and hardly anybody goes.
    queued: Turn,
    what: T,
}

/// Members by their names, at most so many, and at most so many of one group.
#[derive(Debug)]
pub(super) struct Crowd<T> {
    limit: usize,
    group_limit: usize,
    members: HashMap<String, Member<T>>,
    /// In the order in which they go, as far as that is known; see [`Member::queued`].
    turns: BTreeMap<Turn, String>,
    /// The same of each group.
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

    /// The member of this name, which was seen just now, if there is one.
    pub(super) fn see_again(&mut self, name: &str) -> Option<&mut T> {
        let member = self.members.get_mut(name)?;
        self.clock += 1;
        member.turn = (true, self.clock);
        Some(&mut member.what)
    }

    /// Takes in who is seen for the first time; whoever has this name already is forgotten.
    pub(super) fn take_in(&mut self, name: &str, client: IpAddr, what: T) -> &mut T {
        self.take(name);
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
        self.clock += 1;
        self.put(name, group, (false, self.clock), what)
    }

    /// Lets go of a member.
    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        self.take(name)
    }

    /// Who goes for somebody new: one of the largest group where that takes more than its part, else whoever's turn it is.
    fn victim(&mut self) -> Option<String> {
        let (size, groups) = self.sizes.last_key_value()?;
        if *size > (self.limit / FAIR_PART).max(1) {
            return self.first_of(*groups.first()?);
        }
        loop {
            let (queued, name) = self.turns.first_key_value()?;
            if !self.requeue(*queued, &name.clone()) {
                return self.turns.first_key_value().map(|(_, name)| name.clone());
            }
        }
    }

    fn first_of(&mut self, group: Group) -> Option<String> {
        loop {
            let (queued, name) = self.groups.get(&group)?.first_key_value()?;
            let name = name.clone();
            if !self.requeue(*queued, &name) {
                return Some(name);
            }
        }
    }

    /// Moves a member to where it belongs in the queues; whether it was somewhere else.
    fn requeue(&mut self, queued: Turn, name: &str) -> bool {
        let Some(member) = self.members.get_mut(name) else {
            return false;
        };
        let (group, turn) = (member.group, member.turn);
        if turn == queued {
            return false;
        }
        member.queued = turn;
        let mates = self.groups.entry(group).or_default();
        for queue in [&mut self.turns, mates] {
            if let Some(name) = queue.remove(&queued) {
                queue.insert(turn, name);
            }
        }
        true
    }

    fn take(&mut self, name: &str) -> Option<T> {
        let Member {
            group,
            queued,
            what,
            ..
        } = self.members.remove(name)?;
        self.turns.remove(&queued);
        if let Some(mates) = self.groups.get_mut(&group) {
            let before = mates.len();
            mates.remove(&queued);
            let after = mates.len();
            if after == 0 {
                self.groups.remove(&group);
            }
            self.resize(group, before, after);
        }
        Some(what)
    }

    fn put(&mut self, name: &str, group: Group, turn: Turn, what: T) -> &mut T {
        self.turns.insert(turn, name.to_owned());
        let mates = self.groups.entry(group).or_default();
        let before = mates.len();
        mates.insert(turn, name.to_owned());
        let after = mates.len();
        self.resize(group, before, after);
        let member = Member {
            group,
            turn,
            queued: turn,
            what,
        };
        let entry = self.members.entry(name.to_owned());
        &mut entry.insert_entry(member).into_mut().what
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
        if crowd.see_again(name).is_none() {
            crowd.take_in(name, client, name.to_owned());
        }
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

    /// The same with nothing to make it fast: everybody in one row.
    struct Row {
        limit: usize,
        group_limit: usize,
        members: Vec<(String, Group, Turn)>,
        clock: u64,
    }

    impl Row {
        fn see(&mut self, name: &str, client: IpAddr) {
            self.clock += 1;
            if let Some((_, _, turn)) = self.members.iter_mut().find(|(one, ..)| one == name) {
                *turn = (true, self.clock);
                return;
            }
            let group = Group::of(client);
            let size = |group: Group| self.members.iter().filter(|one| one.1 == group).count();
            let largest = self
                .members
                .iter()
                .map(|one| (size(one.1), std::cmp::Reverse(one.1)));
            let from = if size(group) >= self.group_limit {
                Some(Some(group))
            } else if self.members.len() >= self.limit {
                let (size, std::cmp::Reverse(group)) = largest.max().unwrap();
                Some(Some(group).filter(|_| size > (self.limit / FAIR_PART).max(1)))
            } else {
                None
            };
            if let Some(from) = from {
                let may_go = |one: &&(String, Group, Turn)| from.is_none_or(|group| one.1 == group);
                let first = self.members.iter().filter(may_go).min_by_key(|one| one.2);
                let first = first.unwrap().0.clone();
                self.members.retain(|one| one.0 != first);
            }
            self.members
                .push((name.to_owned(), group, (false, self.clock)));
        }

        fn names(&self) -> BTreeSet<&str> {
            self.members.iter().map(|one| one.0.as_str()).collect()
        }
    }

    proptest! {
        #[test]
        fn the_same_go_as_from_a_plain_row(
            steps in proptest::collection::vec((0_u8..30, 0_u8..6), 0..200),
            limit in 1_usize..12,
            group_limit in 1_usize..6,
        ) {
            let mut crowd = Crowd::new(limit, group_limit);
            let mut row = Row { limit, group_limit, members: Vec::new(), clock: 0 };
            for (name, client) in steps {
                let (name, client) = (name.to_string(), IpAddr::from([10, 0, 0, client]));
                see(&mut crowd, &name, client);
                row.see(&name, client);
                let left: BTreeSet<&str> = names(&crowd).into_iter().collect();
                prop_assert_eq!(left, row.names());
            }
        }

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
