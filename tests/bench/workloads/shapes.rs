use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
trait Shape: Debug { fn area(&self) -> f64; fn name(&self) -> String { format!("{:?}", self) } }
macro_rules! shapes { ($($n:ident)*) => { $(#[derive(Debug, Clone, PartialEq)] struct $n { a: f64, b: Vec<String>, c: HashMap<String, BTreeMap<u32, String>> }
impl Shape for $n { fn area(&self) -> f64 { let mut t: Vec<_> = self.c.iter().flat_map(|(k, v)| v.iter().map(move |(i, s)| (k.len() + *i as usize, s.clone()))).collect(); t.sort(); t.iter().map(|x| x.0 as f64).sum::<f64>() + self.a + self.b.iter().map(|s| s.parse::<f64>().unwrap_or(1.0)).fold(0.0f64, |x: f64, y: f64| x.max(y)) } })* 
fn all() -> Vec<Box<dyn Shape>> { vec![$(Box::new($n { a: 1.0, b: vec!["1".into()], c: HashMap::new() })),*] } } }
shapes!(A B C D E F G H I J K L M N O P Q R S T U V W X Y Z Aa Bb Cc Dd Ee Ff Gg Hh Ii Jj Kk Ll Mm Nn Oo Pp Qq Rr Ss Tt Uu Vv Ww Xx Yy Zz);
fn main() { let v = all(); println!("{}", v.iter().map(|s| s.area() + s.name().len() as f64).sum::<f64>()); }
