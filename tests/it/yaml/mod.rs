//! Reading manifests: no text does harm, and every text means one thing.

mod bombs;
mod older;
mod shape;
mod survival;
