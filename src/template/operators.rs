//! `~`, `+` and `*`, as filters: minijinja's own print booleans as `True`, and charge nothing for what they build.

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::fault::failed;
use super::limits;
use super::run::Run;
use super::value::printed;

/// `a ~ b`.
pub(super) fn join(state: &mut State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    let (left, right) = (printed(left)?, printed(right)?);
    Run::of(state)?.charge((left.len() + right.len()) as u64)?;
    Ok(Value::from(format!("{left}{right}")))
}

/// `a + b`.
pub(super) fn add(state: &mut State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    defined(left)?;
    defined(right)?;
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        Run::of(state)?.charge((left.len() + right.len()) as u64)?;
        return Ok(Value::from(format!("{left}{right}")));
    }
    if is_list(left) && is_list(right) {
        let run = Run::of(state)?;
        let mut items = Vec::new();
        for item in left.try_iter()?.chain(right.try_iter()?) {
            run.charge(limits::ITEM_WORK)?;
            items.push(item);
        }
        let sum = Value::from(items);
        run.measure(&sum)?;
        return Ok(sum);
    }
    match (number(left), number(right)) {
        (Some(Number::Integer(left)), Some(Number::Integer(right))) => {
            integer(left.checked_add(right))
        }
        (Some(left), Some(right)) => Ok(Value::from(left.float() + right.float())),
        _ => Err(unfit("+", left, right)),
    }
}

/// `a * b`.
pub(super) fn multiply(
    state: &mut State<'_, '_>,
    left: &Value,
    right: &Value,
) -> Result<Value, Error> {
    defined(left)?;
    defined(right)?;
    match (number(left), number(right)) {
        (Some(Number::Integer(left)), Some(Number::Integer(right))) => {
            integer(left.checked_mul(right))
        }
        (Some(left), Some(right)) => Ok(Value::from(left.float() * right.float())),
        (None, Some(Number::Integer(times))) => {
            repeat(state, left, times).ok_or_else(|| unfit("*", left, right))?
        }
        (Some(Number::Integer(times)), None) => {
            repeat(state, right, times).ok_or_else(|| unfit("*", left, right))?
        }
        _ => Err(unfit("*", left, right)),
    }
}

/// A text several times over.
fn repeat(state: &State<'_, '_>, value: &Value, times: i128) -> Option<Result<Value, Error>> {
    let text = value.as_str()?;
    let times = usize::try_from(times).unwrap_or(if times < 0 { 0 } else { usize::MAX });
    let bytes = (text.len() as u64).saturating_mul(times as u64);
    let charged = Run::of(state).and_then(|run| run.charge(bytes));
    Some(charged.map(|()| Value::from(text.repeat(times))))
}

enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "a sum with a float is a float")]
    fn float(&self) -> f64 {
        match self {
            Self::Integer(value) => *value as f64,
            Self::Float(value) => *value,
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Integer(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).ok().map(Number::Integer)
        }
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

fn integer(result: Option<i128>) -> Result<Value, Error> {
    let result = result.ok_or_else(|| failed("the calculation has no result"))?;
    Ok(i64::try_from(result).map_or_else(|_| Value::from(result), Value::from))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        Err(Error::from(minijinja::ErrorKind::UndefinedError))
    } else {
        Ok(())
    }
}

fn unfit(operator: &str, left: &Value, right: &Value) -> Error {
    failed(format!(
        "`{operator}` does not work on a {} and a {}",
        left.kind(),
        right.kind()
    ))
}
